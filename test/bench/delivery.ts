/** How soon a code leaves, and that a slow provider slows nobody who asks. */
import { setTimeout as wait } from 'node:timers/promises'
import { createSandbox } from '#sandbox/sandbox.ts'
import { measure } from './load.ts'
import { nextNumber } from './material.ts'
import { startProgram } from './programs.ts'
import { percentile, printLine, printMeasured } from './report.ts'
import type { BenchContext } from './requests.ts'

/** The whole service on keys of its own, the sandbox in this process so that its clock is ours. */
async function startWhole(redisUrl: string, prefix: string, latencyMs: number) {
  const sandbox = createSandbox({ capacity: 100_000, pace: 0 })
  const port = await sandbox.listen(0)
  const env = { REDIS_URL: redisUrl, REDIS_PREFIX: prefix, SANDBOX_URL: `ws://127.0.0.1:${port}` }
  const api = await startProgram('apps/api/main.ts', 'PORT', env)
  const worker = await startProgram('apps/worker/main.ts', 'WORKER_PORT', env)
  sandbox.setLatency(latencyMs)
  return {
    sandbox,
    api,
    async stop() {
      await Promise.all([api.stop(), worker.stop()])
      await sandbox.close()
    },
  }
}

/** From the 202 in the caller's hands to the frame at the relay, one at a time. */
export async function benchIdle({ redisUrl }: BenchContext): Promise<boolean[]> {
  console.log('\nFrom 202 to the frame at the relay, idle')
  const whole = await startWhole(redisUrl, 'idle', 0)
  const times: number[] = []
  try {
    for (let round = 0; round < 300; round++) {
      const to = nextNumber()
      await fetch(`${whole.api.url}/v1/verifications`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ to }),
      })
      const answeredAt = Date.now()
      const arrivedAt = await arrival(whole.sandbox, to)
      if (round >= 50) times.push(Math.max(0, arrivedAt - answeredAt))
    }
  } finally {
    await whole.stop()
  }
  printLine('p50', percentile(times, 0.5), 'ms')
  return [printLine('p99', percentile(times, 0.99), 'ms', { atMost: 25 })]
}

async function arrival(sandbox: ReturnType<typeof createSandbox>, to: string): Promise<number> {
  for (;;) {
    const [message] = sandbox.messages(to)
    if (message) return message.atMs
    await wait(1)
  }
}

/** What a caller waits for a start while the provider takes two seconds, against one that answers at once. */
export async function benchSlowProvider({ redisUrl }: BenchContext): Promise<boolean[]> {
  console.log('\nStart at 100 a second, by how long the provider takes')
  const p50 = async (latencyMs: number) => {
    const whole = await startWhole(redisUrl, `slow${latencyMs}`, latencyMs)
    try {
      const body = () => JSON.stringify({ to: nextNumber() })
      const load = {
        url: whole.api.url,
        path: '/v1/verifications',
        body,
        connections: 10,
        rate: 100,
        seconds: 8,
      }
      const measured = await measure(load)
      printMeasured(`${latencyMs} ms`, measured)
      return measured.p50Ms
    } finally {
      await whole.stop()
    }
  }
  const instant = await p50(0)
  const slow = await p50(2_000)
  return [printLine('p50 with 2 s against at once', slow / Math.max(instant, 1), '×', { atMost: 1.1 })]
}
