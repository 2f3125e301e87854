/** How fast one worker drains a full queue, against what BullMQ alone makes of the same jobs. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type ConnectionOptions, Queue } from 'bullmq'
import { createDeliveryQueue, QUEUE_NAME, queuePrefix } from '#queue/delivery-queue.ts'
import { connectForQueue } from '#runtime/redis.ts'
import type { Application, VerificationId } from '#verification/verification.ts'
import { createMaterial } from './material.ts'
import { startProgram } from './programs.ts'
import { printLine } from './report.ts'
import type { BenchContext } from './requests.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const APPLICATION = 'default' as Application
const CONCURRENCY = '50'
const JOBS = 20_000
const TURNS = 5
/** The first turn of each is its warm-up. */
const WARM_UPS = 1
/** The clock runs while the backlog falls from the first share to the second: neither the start nor the end counts. */
const CLOCKED = { from: 0.9, to: 0.1 }
const LOOK_EVERY_MS = 10

/** One queue, its worker a process of its own that lives through all turns. */
type Contender = { drain(): Promise<number>; stop(): Promise<void> }

/**
 * Compared are two processes on one Redis, each with 50 jobs at a time and the same 20,000 jobs, added the same way
 * while the queue is paused. The floor is BullMQ's worker with a processor that does nothing. Ours claims each send,
 * hands it to SignalWire's client, which sends it to the sandbox (a third process), records the answer, and takes the
 * four receipts of each message that come back meanwhile. They take turns; the one whose turn it is not is idle, as is
 * the sandbox in the floor's turn. Where there are fewer cores than busy threads (ours has four: worker, client,
 * sandbox, Redis; the floor two), ours pays for the sandbox too.
 */
export async function benchDrain(context: BenchContext): Promise<boolean[]> {
  console.log(`\nOne worker drains ${JOBS} sends, against BullMQ with an empty processor`)
  const sandbox = await startProgram('apps/sandbox/main.ts', 'SANDBOX_PORT', {})
  const floor = await enter('floor', context, (env) =>
    startProgram('test/bench/floor-worker.ts', 'PORT', env),
  )
  const ours = await enter('drain', context, (env) =>
    startProgram('apps/worker/main.ts', 'WORKER_PORT', {
      ...env,
      SANDBOX_URL: sandbox.url.replace('http:', 'ws:'),
    }),
  )
  try {
    const turns: { floor: number; ours: number; ratio: number }[] = []
    for (let turn = 0; turn < WARM_UPS + TURNS; turn++) {
      const below = await floor.drain()
      const above = await ours.drain()
      if (turn >= WARM_UPS) turns.push({ floor: below, ours: above, ratio: above / below })
    }
    const median = turns.sort((a, b) => a.ratio - b.ratio)[Math.floor(TURNS / 2)]
    if (!median) throw new Error('Nothing was measured')
    printLine('floor', median.floor, 'jobs/s')
    printLine('sends', median.ours, '/s')
    return [printLine('drain', median.ratio, '× floor', { atLeast: 0.5 })]
  } finally {
    await Promise.all([floor.stop(), ours.stop()])
    await sandbox.stop()
  }
}

async function enter(
  prefix: 'floor' | 'drain',
  { redis, redisUrl }: BenchContext,
  start: (env: Record<string, string>) => ReturnType<typeof startProgram>,
): Promise<Contender> {
  const connection = connectForQueue(redisUrl, quiet)
  const queue = createDeliveryQueue({ connection, prefix })
  const control = new Queue(QUEUE_NAME, {
    connection: connection as ConnectionOptions,
    prefix: queuePrefix(prefix),
    skipVersionCheck: true,
  })
  const worker = await start({ REDIS_URL: redisUrl, REDIS_PREFIX: prefix, WORKER_CONCURRENCY: CONCURRENCY })
  // BullMQ's own worker never asks what a job is for.
  const sends = () =>
    prefix === 'drain'
      ? createMaterial(redis, prefix).start(JOBS)
      : Array.from({ length: JOBS }, () => randomUUID().replaceAll('-', '') as VerificationId)
  return {
    /** Jobs a second. */
    async drain() {
      await control.pause()
      const verifications = await sends()
      await Promise.all(
        verifications.map((verification) =>
          queue.enqueue({ application: APPLICATION, verification, send: 1 }),
        ),
      )
      await control.resume()
      const rate = await clock(() => control.getJobCountByTypes('waiting', 'delayed', 'active'))
      return rate
    },
    async stop() {
      await worker.stop()
      await control.close()
      await queue.close()
      connection.disconnect()
    },
  }
}

/** @returns jobs a second over the clocked part of what is left; resolves when nothing is */
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
