/**
 * The queue `events`: its name, what a job is, and how one gets in. It is apart from the deliveries, so that a receiver
 * that hangs holds up no code. A job holds the event itself, which has left the outbox; its id is the event's, so moving
 * an event twice changes nothing while it waits.
 */
import { type ConnectionOptions, Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { EVENT_TYPES, type Event, type Told } from '#verification/event.ts'
import { queuePrefix } from './delivery-queue.ts'
import { inTime } from './queue-fault.ts'

export const EVENT_QUEUE_NAME = 'events'
const JOB_NAME = 'tell'

const EVENTS_KEPT = 100
/** Only what breaks on our side throws; an event is not lost for it as long as it is worth telling: a day, and a rest. */
const TRIES = 10_000
const TRY_AGAIN_MS = 10_000

/** Reads a job's data as if a stranger had written it. */
export function parseEventJob(data: unknown): Event | undefined {
  if (typeof data !== 'string') return undefined
  try {
    const event: unknown = JSON.parse(data)
    return isEvent(event) ? event : undefined
  } catch {
    return undefined
  }
}

function isEvent(value: unknown): value is Event {
  if (typeof value !== 'object' || value === null) return false
  const { type, timestamp, data } = value as Partial<Record<string, unknown>>
  const known = EVENT_TYPES.some((name) => name === type)
  const dated = typeof timestamp === 'string' && !Number.isNaN(Date.parse(timestamp))
  return known && dated && typeof data === 'object' && data !== null
}

export type EventQueue = ReturnType<typeof createEventQueue>

export function createEventQueue({ connection, prefix }: { connection: Redis; prefix: string }) {
  const queue = new Queue(EVENT_QUEUE_NAME, {
    connection: connection as ConnectionOptions,
    prefix: queuePrefix(prefix),
    streams: { events: { maxLen: EVENTS_KEPT } },
    skipVersionCheck: true,
    defaultJobOptions: {
      attempts: TRIES,
      backoff: { type: 'fixed', delay: TRY_AGAIN_MS },
      stackTraceLimit: 0,
      removeOnComplete: true,
      removeOnFail: true,
    },
  })
  queue.on('error', () => {
    // The connection has said it already.
  })
  return {
    /** Resolves once all of them lie in the queue. */
    async add(events: readonly Told[]): Promise<void> {
      const jobs = events.map(({ id, event }) => ({
        name: JOB_NAME,
        data: JSON.stringify(event),
        opts: { jobId: id },
      }))
      await inTime(connection, () => queue.addBulk(jobs))
    },
    /** Events that wait to be told, those between two tries included. */
    backlog: () => inTime(connection, () => queue.getJobCountByTypes('waiting', 'delayed', 'active')),
    close: () => queue.close(),
  }
}
