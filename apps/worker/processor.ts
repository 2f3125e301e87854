/**
 * BullMQ's words for what an attempt came to, and BullMQ's settings. The ledger keeps every decision, so BullMQ may
 * run a job twice, late or never: it only wakes somebody up.
 */
import { type ConnectionOptions, DelayedError, type Job, WaitingError, Worker } from 'bullmq'
import { parseJob, QUEUE_NAME, queuePrefix } from '#queue/delivery-queue.ts'
import { createSeldom, type Log } from '#runtime/log.ts'
import { type connectForQueue, faultName } from '#runtime/redis.ts'
import type { Deliver } from './deliver.ts'

/** A dead worker's job runs again within lock + stall check, 20 s; any provider's deadline is well below the lock. */
const LOCK_MS = 15_000
const STALL_CHECK_MS = 5_000
/** More than a poison job deserves, fewer than a loop. */
const STALLED_MAX = 2
/** One line an outage: BullMQ repeats an error thousands of times a second while Redis refuses writes. */
const SAME_ERROR_QUIET_MS = 10_000

export type Processor = ReturnType<typeof createProcessor>

/** @param deps.isOpen whether a job may be worked on now; one that may not goes back to where it was */
export function createProcessor(deps: {
  deliver: Deliver
  isOpen: () => boolean
  log: Log
  signal: AbortSignal
}) {
  let inHand = 0

  async function process(job: Job, token?: string): Promise<void> {
    const send = parseJob(job.data)
    if (!send) {
      deps.log.error({ reason: 'unreadable_job' }, 'job dropped')
      return
    }
    if (!deps.isOpen()) {
      await job.moveToWait(token)
      throw new WaitingError()
    }
    const delivered = await deps.deliver(send, deps.signal)
    if (delivered.kind === 'closed') return
    await job.moveToDelayed(Date.now() + delivered.waitMs, token)
    throw new DelayedError()
  }

  return {
    /** Jobs being worked on right now. */
    inHand: () => inHand,
    async run(job: Job, token?: string): Promise<void> {
      inHand += 1
      try {
        await process(job, token)
      } finally {
        inHand -= 1
      }
    },
  }
}

export function startQueueWorker(deps: {
  connection: ReturnType<typeof connectForQueue>
  prefix: string
  concurrency: number
  processor: Processor
  log: Log
}): Worker {
  const worker = new Worker(QUEUE_NAME, deps.processor.run, {
    connection: deps.connection as ConnectionOptions,
    prefix: queuePrefix(deps.prefix),
    concurrency: deps.concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALL_CHECK_MS,
    maxStalledCount: STALLED_MAX,
    // A job that is gone can be added again: the sweeper relies on it, and the claim keeps it harmless.
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    skipVersionCheck: true,
  })
  const isWorthSaying = createSeldom(SAME_ERROR_QUIET_MS)
  worker.on('error', (error) => {
    if (isWorthSaying()) deps.log.warn({ fault: faultName(error) }, 'the queue reported an error')
  })
  worker.on('failed', (_job, error) => {
    deps.log.error({ fault: faultName(error) }, 'a job failed; the sweeper brings its send again')
  })
  return worker
}
