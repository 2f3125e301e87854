/**
 * The queue `deliveries`: its name, what a job is, and how one gets in. A job holds one reference, ids only, and decides
 * nothing; the ledger does. Getting in is batched: one round trip carries every send that was stored while the last one was under
 * way.
 */
import { type ConnectionOptions, Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { formatReference, parseReference, type SendReference } from '#verification/verification.ts'
import { inTime, QueueFault } from './queue-fault.ts'

export const QUEUE_NAME = 'deliveries'
const JOB_NAME = 'deliver'

/** BullMQ keeps its events in a stream for whoever listens; nobody here does. */
const EVENTS_KEPT = 100
const BATCH_MAX = 200
/** What waits behind more than this is left to the sweeper. */
const WAITING_MAX = 20_000
const COUNTS_MS = 2_000

/** One job a send: adding it again while it waits changes nothing. BullMQ refuses ids with a colon. */
export function jobIdOf({ verification, send }: SendReference): string {
  return `s-${verification}-${send}`
}

/** Reads a job's data as if a stranger had written it. */
export function parseJob(data: unknown): SendReference | undefined {
  return typeof data === 'string' ? parseReference(data) : undefined
}

/** BullMQ's keys share one hash tag, so that the queue lives in one slot of a Redis Cluster. */
export function queuePrefix(prefix: string): string {
  return `{${prefix}:queue}`
}

export type DeliveryQueue = ReturnType<typeof createDeliveryQueue>

export function createDeliveryQueue(options: { connection: Redis; prefix: string }) {
  const { connection } = options
  const queue = new Queue(QUEUE_NAME, {
    connection: connection as ConnectionOptions,
    prefix: queuePrefix(options.prefix),
    streams: { events: { maxLen: EVENTS_KEPT } },
    skipVersionCheck: true,
  })
  queue.on('error', () => {
    // The connection has said it already.
  })
  type Waiting = { send: SendReference; resolve: () => void; reject: (cause: unknown) => void }
  let waiting: Waiting[] = []
  let flushing: Promise<void> | undefined

  async function addBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      const jobs = batch.map(({ send }) => ({
        name: JOB_NAME,
        data: formatReference(send),
        opts: { jobId: jobIdOf(send) },
      }))
      await inTime(connection, () => queue.addBulk(jobs))
      for (const { resolve } of batch) resolve()
    } catch (cause) {
      for (const { reject } of batch) reject(cause)
    }
  }

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH_MAX)
      waiting = waiting.slice(BATCH_MAX)
      await addBatch(batch)
    }
    flushing = undefined
  }

  return {
    /** Resolves once the send is queued; rejects when it is not, and then the sweeper brings it later. */
    enqueue(send: SendReference): Promise<void> {
      return new Promise((resolve, reject) => {
        if (waiting.length >= WAITING_MAX) return reject(new QueueFault('Too many sends wait for the queue'))
        waiting.push({ send, resolve, reject })
        flushing ??= Promise.resolve().then(flush)
      })
    },
    /** Sends waiting for a worker, those on a delay included. */
    backlog: () => queue.getJobCountByTypes('waiting', 'delayed', 'prioritized'),
    /** Jobs by state, for whoever watches; rejects within two seconds where Redis does not tell. */
    counts: () => inTime(connection, () => queue.getJobCounts('waiting', 'active', 'delayed'), COUNTS_MS),
    /** Waits for what is being enqueued, then lets go of the connection (which stays its owner's). */
    async close(): Promise<void> {
      await flushing
      await queue.close()
    },
  }
}
