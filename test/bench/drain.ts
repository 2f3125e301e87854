/** How fast one worker drains a full queue, against what BullMQ alone makes of the same jobs. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type ConnectionOptions, Queue } from 'bullmq'
import { createDeliveryQueue, QUEUE_NAME, queuePrefix } from '#queue/delivery-queue.ts'
import { connectForQueue } from '#runtime/redis.ts'
import type { Application, VerificationId } from '#verification/verification.ts'
import { createMaterial } from './material.ts'
import { type BenchProgram, startProgram } from './programs.ts'
import { printLine } from './report.ts'
import type { BenchContext } from './requests.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const APPLICATION = 'default' as Application
const JOBS = 20_000
const TURNS = 5
/** The first turn of each makes it warm. */
const WARM_UPS = 1
/** The clock runs while the backlog falls from the first share to the second: neither start nor end counts. */
const CLOCKED = { from: 0.9, to: 0.1 }
const LOOK_EVERY_MS = 10
/** Times a hundred thousand, the first receipt comes after half an hour. */
const NEVER = '100000'

/** A queue with a worker of its own, each a process that lives through all turns. */
type Contender = {
  /** Jobs a second. */
  drain(): Promise<number>
  stop(): Promise<void>
}

/**
 * Compared are workers on one Redis, each with 50 jobs at a time and the same jobs, added the same way while its queue
 * is paused. The floor is BullMQ's worker with a processor that does nothing. Ours claims each send, hands it to
 * SignalWire's client in its thread, which sends it to the sandbox in its process; records the answer, and ends the job.
 * A second one of ours takes four receipts of each message meanwhile. They take turns, and whose turn it is not is idle.
 * The floor keeps two threads busy (worker, Redis), ours four (client and sandbox too): on fewer cores than that, ours
 * pays for SignalWire's side of it as well.
 */
export async function benchDrain(context: BenchContext): Promise<boolean[]> {
  console.log(`\nOne worker drains ${JOBS} sends, against BullMQ with an empty processor`)
  const floor = await enterFloor(context)
  const ours = await enterOurs('drain', NEVER, context)
  const busier = await enterOurs('drain-receipts', '1', context)
  const turns: { floor: number; ours: number; busier: number }[] = []
  try {
    for (let turn = 0; turn < WARM_UPS + TURNS; turn++) {
      const rates = { floor: await floor.drain(), ours: await ours.drain(), busier: await busier.drain() }
      if (turn >= WARM_UPS) turns.push(rates)
    }
  } finally {
    await Promise.all([floor.stop(), ours.stop(), busier.stop()])
  }
  const median = (of: (rates: (typeof turns)[number]) => number) =>
    turns.map(of).sort((a, b) => a - b)[Math.floor(TURNS / 2)] ?? Number.NaN
  printLine(
    'floor',
    median(({ floor: rate }) => rate),
    'jobs/s',
  )
  printLine(
    'sends',
    median(({ ours: rate }) => rate),
    '/s',
  )
  printLine(
    'sends, with four receipts of each meanwhile',
    median(({ busier: rate }) => rate),
    '/s',
  )
  printLine(
    'these, against the floor of the same turn',
    median((rates) => rates.busier / rates.floor),
    '×',
  )
  const ratio = median((rates) => rates.ours / rates.floor)
  return [printLine('sends, against the floor of the same turn', ratio, '× floor', { atLeast: 0.5 })]
}

async function enterFloor(context: BenchContext): Promise<Contender> {
  return enter('floor', context, {
    // BullMQ's worker never asks what a job is for.
    sends: () => Array.from({ length: JOBS }, () => randomUUID().replaceAll('-', '') as VerificationId),
    programs: async (env) => [await startProgram('test/bench/floor-worker.ts', 'PORT', env)],
  })
}

async function enterOurs(prefix: string, pace: string, context: BenchContext): Promise<Contender> {
  const material = createMaterial(context.redis, prefix)
  return enter(prefix, context, {
    sends: () => material.start(JOBS),
    async programs(env) {
      const sandbox = await startProgram('test/bench/sandbox.ts', 'PORT', { PACE: pace })
      const SANDBOX_URL = sandbox.url.replace('http:', 'ws:')
      return [await startProgram('apps/worker/main.ts', 'WORKER_PORT', { ...env, SANDBOX_URL }), sandbox]
    },
  })
}

async function enter(
  prefix: string,
  { redisUrl }: BenchContext,
  entry: {
    sends(): VerificationId[] | Promise<VerificationId[]>
    /** In the order they are stopped in. */
    programs(env: Record<string, string>): Promise<BenchProgram[]>
  },
): Promise<Contender> {
  const connection = connectForQueue(redisUrl, quiet)
  const queue = createDeliveryQueue({ connection, prefix })
  const control = new Queue(QUEUE_NAME, {
    connection: connection as ConnectionOptions,
    prefix: queuePrefix(prefix),
    skipVersionCheck: true,
  })
  const programs = await entry.programs({
    REDIS_URL: redisUrl,
    REDIS_PREFIX: prefix,
    WORKER_CONCURRENCY: '50',
  })
  return {
    async drain() {
      await control.pause()
      const ids = await entry.sends()
      await Promise.all(
        ids.map((verification) => queue.enqueue({ application: APPLICATION, verification, send: 1 })),
      )
      await control.resume()
      return clock(() => control.getJobCountByTypes('waiting', 'delayed', 'active'))
    },
    async stop() {
      for (const program of programs) await program.stop()
      await control.close()
      await queue.close()
      connection.disconnect()
    },
  }
}

/** Jobs a second over the clocked part of what is left; resolves when nothing is. */
async function clock(left: () => Promise<number>): Promise<number> {
  let first: { at: number; left: number } | undefined
  let last: typeof first
  for (;;) {
    const now = { left: await left(), at: performance.now() }
    if (now.left <= JOBS * CLOCKED.from) first ??= now
    if (now.left >= JOBS * CLOCKED.to) last = now
    if (now.left === 0) break
    await wait(LOOK_EVERY_MS)
  }
  if (!first || !last || last.at <= first.at) throw new Error('Drained before it could be clocked')
  return ((first.left - last.left) / (last.at - first.at)) * 1_000
}
