/** Whether a worker's memory stays where it is over 200,000 sends after its warm-up, with SignalWire's client and its thread in it. */
import { execFile } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createDeliveryQueue } from '#queue/delivery-queue.ts'
import { connectForQueue } from '#runtime/redis.ts'
import type { Application } from '#verification/verification.ts'
import { createMaterial } from './material.ts'
import { startProgram } from './programs.ts'
import { printLine } from './report.ts'
import type { BenchContext } from './requests.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const PREFIX = 'endurance'
const BATCH = 5_000
/** After 40,000 sends it was between 474 and 521 MiB, depending on the run; after 80,000 it has found its size. */
const WARM_UP = 16
const BATCHES = WARM_UP + 40
/** One sample is as high as the last collection of garbage was long ago. */
const AVERAGED = 8
/** The last receipt comes 450 ms after its message. */
const RECEIPTS_MS = 600

/**
 * The worker's memory after each batch of sends. Redis is emptied before the next one, and the sandbox keeps a thousand
 * messages, so that only the worker could grow.
 */
export async function benchEndurance({ redisUrl, redis }: BenchContext): Promise<boolean[]> {
  console.log(`\nA worker's memory over ${BATCH * (BATCHES - WARM_UP)} sends`)
  if ((await residentMiB(process.pid)) === undefined) {
    console.log('  skipped: ps does not tell here how much memory a process has')
    return []
  }
  const connection = connectForQueue(redisUrl, quiet)
  const queue = createDeliveryQueue({ connection, prefix: PREFIX })
  const material = createMaterial(redis, PREFIX)
  const sandbox = await startProgram('apps/sandbox/main.ts', 'SANDBOX_PORT', {})
  const worker = await startProgram('apps/worker/main.ts', 'WORKER_PORT', {
    REDIS_URL: redisUrl,
    REDIS_PREFIX: PREFIX,
    SANDBOX_URL: sandbox.url.replace('http:', 'ws:'),
  })
  const samples: number[] = []
  let highest = 0
  const look = async () => {
    const now = (await residentMiB(worker.pid)) ?? Number.NaN
    if (samples.length >= WARM_UP) highest = Math.max(highest, now)
    return now
  }
  try {
    while (samples.length < BATCHES) {
      const application = 'default' as Application
      const ids = await material.start(BATCH)
      await Promise.all(ids.map((verification) => queue.enqueue({ application, verification, send: 1 })))
      while ((await queue.backlog()) > 0) {
        await look()
        await wait(100)
      }
      await wait(RECEIPTS_MS)
      samples.push(await look())
      await redis.flushall()
    }
  } finally {
    await Promise.all([worker.stop(), sandbox.stop(), queue.close()])
    connection.disconnect()
  }
  const warm = meanOf(samples.slice(WARM_UP - AVERAGED, WARM_UP))
  const end = meanOf(samples.slice(-AVERAGED))
  printLine(`after ${BATCH * WARM_UP} sends`, warm, 'MiB')
  printLine('the highest after that', highest, 'MiB')
  printLine('at the end', end, 'MiB')
  return [printLine('growth', (end / warm - 1) * 100, '%', { atMost: 10 })]
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** What the process holds of the machine's memory; undefined where `ps` does not say. */
async function residentMiB(pid: number): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)])
    return Number(stdout) > 0 ? Number(stdout) / 1_024 : undefined
  } catch {
    return undefined
  }
}
