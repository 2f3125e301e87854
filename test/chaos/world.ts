/** The service as it runs in a chaos run: a Redis and a sandbox of its own, two APIs and two workers as processes. */
import { readdirSync, readFileSync } from 'node:fs'
import { freePort } from '#dev/ports.ts'
import { createSandbox } from '#sandbox/sandbox.ts'
import { NO_LIMITS } from '#test/fixtures/no-limits.ts'
import { type Program, startProgram } from '#test/fixtures/program.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { createDoor, handOn } from './door.ts'
import type { Place, Setup } from './plan.ts'
import { createReceiver, SECRET } from './receiver.ts'

const MESSAGES_KEPT = 100_000
/** What a provider takes to answer: there is always a message in its hands. */
export const LATENCY_MS = 300
/** The shortest there is: so that codes and deadlines run out within a run. */
const CODE_TTL_SECONDS = 120
/** Two lines, each fast enough for who comes one by one; a crowd, or what an outage leaves, waits in them. */
const SENDERS = '+12025550199:8,+12025550198:8'
/** For how long SIGUSR2 blocks a worker: longer than its lease, its lock and a stall check together. */
const BLOCKED_MS = 21_000
const BLOCKABLE = `--import ${import.meta.dirname}/../fixtures/blockable.ts`
/** The deadline of a stop (12 s), what is written down after it (3 s), and a slow machine. */
const STOPPED_WITHIN_MS = 20_000

export type World = Awaited<ReturnType<typeof createWorld>>

/** A program that may be killed and started again, on its own port. */
export type Slot = {
  place: Place
  url: string
  running(): Program | undefined
  start(env?: Record<string, string>): Promise<void>
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  kill(signal: NodeJS.Signals): void
  /** Whether it may have been away at any moment between these two. */
  awayBetween(fromMs: number, toMs: number): boolean
  output(): string
}

export async function createWorld(
  prefix: string,
  { setup, broken }: { setup: Setup; broken: (what: string) => void },
) {
  const redis = await startOwnRedis()
  const sandbox = createSandbox({ pace: 0.2, capacity: MESSAGES_KEPT, latencyMs: LATENCY_MS })
  const sandboxPort = await sandbox.listen(0)
  const rest = await createDoor(handOn(sandboxPort))
  const receiver = await createReceiver()
  const publicPort = await freePort()
  const env = {
    ...NO_LIMITS,
    REDIS_URL: redis.url,
    REDIS_PREFIX: prefix,
    SANDBOX_URL: `ws://127.0.0.1:${sandboxPort}`,
    CODE_TTL_SECONDS: String(CODE_TTL_SECONDS),
    SIGNALWIRE_NUMBER: SENDERS,
    WEBHOOK_URL: receiver.url,
    WEBHOOK_SECRET: SECRET,
    WEBHOOK_ALLOW_PRIVATE: 'on',
    PROVIDERS: setup.providers,
    // With callbacks, which all come to the first API; while it is away they are lost.
    ...(setup.providers === 'relay,rest' && {
      SIGNALWIRE_REST_URL: rest.url,
      PUBLIC_URL: `http://127.0.0.1:${publicPort}`,
      SIGNALWIRE_SIGNING_KEY: 'sandbox',
    }),
  }
  const worker = { ...env, NODE_OPTIONS: BLOCKABLE, BLOCKED_MS: String(BLOCKED_MS) }
  const slot = async (
    place: Place,
    main: string,
    own: { variable: string; env: Record<string, string>; port?: number },
  ) => createSlot({ place, main, broken, ...own, port: own.port ?? (await freePort()) })
  const apis = [
    await slot('api 0', 'apps/api/main.ts', { variable: 'PORT', env, port: publicPort }),
    await slot('api 1', 'apps/api/main.ts', { variable: 'PORT', env }),
  ] as const
  const workers = [
    await slot('worker 0', 'apps/worker/main.ts', { variable: 'WORKER_PORT', env: worker }),
    await slot('worker 1', 'apps/worker/main.ts', { variable: 'WORKER_PORT', env: worker }),
  ] as const
  const slots = [...apis, ...workers]

  return {
    redis,
    sandbox,
    sandboxPort,
    rest,
    receiver,
    prefix,
    apis,
    workers,
    slots,
    async start(): Promise<void> {
      await Promise.all([rest.open(), receiver.open()])
      await Promise.all(slots.map((one) => one.start()))
    },
    /** Every program that runs says that it is ready, or that is a broken promise. */
    async expectReady(ms: number): Promise<void> {
      await Promise.all(
        slots.map(async ({ place, running }) => {
          const ready = running()?.ready(ms) ?? Promise.reject(new Error('it does not run'))
          await ready.catch((error: Error) => broken(`P9 ${place} did not recover: ${error.message}`))
        }),
      )
    },
    async close(): Promise<void> {
      for (const one of slots) one.running()?.kill('SIGKILL')
      await Promise.all(slots.map((one) => one.running()?.ended))
      await Promise.all([sandbox.close(), rest.close(), receiver.close()])
      await redis.stop()
    },
  }
}

function createSlot(options: {
  place: Place
  main: string
  variable: string
  env: Record<string, string>
  port: number
  broken: (what: string) => void
}): Slot {
  const { place, main, variable, env, port, broken } = options
  const outputs: Program[] = []
  /** Times between which it was, or was about to be, away. */
  const away: { from: number; to: number }[] = []
  let program: Program | undefined

  return {
    place,
    url: `http://127.0.0.1:${port}`,
    running: () => program,
    kill: (signal) => program?.kill(signal),
    async start(more = {}) {
      const started = startProgram(main, port, { ...env, [variable]: String(port), ...more })
      program = started
      outputs.push(started)
      void started.ended.then(({ code, signal }) => {
        if (program !== started) return
        broken(`P9 ${place} ended by itself: ${code ?? signal}\n${started.output().slice(-2_000)}`)
        program = undefined
      })
      await started.ready(30_000).catch(() => {
        // Not ready for as long as Redis or the provider is away; alive is enough to be called.
      })
      const last = away.at(-1)
      if (last) last.to = Date.now()
    },
    async end(signal) {
      const ending = program
      program = undefined
      away.push({ from: Date.now(), to: Number.POSITIVE_INFINITY })
      if (!ending) return
      const startedAt = performance.now()
      ending.kill(signal)
      const timer = setTimeout(() => {
        broken(`P9 ${place} did not end in time`)
        ending.kill('SIGKILL')
      }, STOPPED_WITHIN_MS)
      const { code } = await ending.ended
      clearTimeout(timer)
      const took = Math.round(performance.now() - startedAt)
      if (signal === 'SIGTERM' && code !== 0 && code !== 1)
        broken(`P9 ${place}, told to stop, ended with ${code} after ${took} ms`)
    },
    awayBetween: (fromMs, toMs) => away.some(({ from, to }) => from <= toMs && fromMs <= to),
    output: () => outputs.map((one) => one.output()).join(''),
  }
}

/** Processes of this run that are still there, by a mark in their environment. Linux only: elsewhere none is found. */
export function processesOf(prefix: string): string[] {
  const mark = `REDIS_PREFIX=${prefix}\0`
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark)
    } catch {
      return false
    }
  })
}
