/**
 * Events out, as a whole: the mover, the queue `events` and BullMQ's words for what telling came to. All of it on a
 * connection of its own and apart from the deliveries, so that a receiver that hangs holds up nothing but events.
 */
import { createHash } from 'node:crypto'
import { type ConnectionOptions, DelayedError, type Job, Worker } from 'bullmq'
import { queuePrefix } from '#queue/delivery-queue.ts'
import { createEventQueue, EVENT_QUEUE_NAME, parseEventJob } from '#queue/event-queue.ts'
import { createSeldom, type Log } from '#runtime/log.ts'
import { type connectForQueue, faultName } from '#runtime/redis.ts'
import { within } from '#runtime/shutdown.ts'
import type { Outbox } from '#store/outbox.ts'
import { createResolve } from '#webhooks/addresses.ts'
import { createPost } from '#webhooks/post.ts'
import { createEventMover } from './event-mover.ts'
import { createFaultLog } from './fault-log.ts'
import { createTell, type Tell } from './tell.ts'
import type { WebhookConfig } from './webhook-settings.ts'

/** The least that Standard Webhooks recommends. */
const POST_TIMEOUT_MS = 15_000
/** Longer than a try takes; a dead worker's event is told by another within lock + stall check, 25 s. */
const LOCK_MS = 20_000
const STALL_CHECK_MS = 5_000
/** However often workers die: only time ends an event. */
const STALLED_MAX = 1_000_000
const SAME_ERROR_QUIET_MS = 10_000

export type EventsOut = {
  start(): void
  /** Events in the queue that wait to be told. */
  waiting(): Promise<number>
  /** Takes no new event, waits that long for those in hand, and leaves the rest to the next worker. */
  stop(deadlineMs: number): Promise<void>
}

export function createEventsOut(deps: {
  webhook: WebhookConfig
  /** For nothing else. */
  connection: ReturnType<typeof connectForQueue>
  prefix: string
  outbox: Outbox
  log: Log
}): EventsOut {
  const { webhook, connection, prefix, outbox, log } = deps
  const cutOff = new AbortController()
  const queue = createEventQueue({ connection, prefix })
  const mover = createEventMover({ outbox, queue, log, now: Date.now })
  const post = createPost({ ...webhook, timeoutMs: POST_TIMEOUT_MS, resolve: createResolve() })
  const receiver = createHash('sha256').update(webhook.url.href).digest('hex').slice(0, 16)
  const tell = createTell({ post, outbox, receiver, log, random: Math.random, now: Date.now })
  const worker = new Worker(EVENT_QUEUE_NAME, createEventProcessor({ tell, log, signal: cutOff.signal }), {
    connection: connection as ConnectionOptions,
    prefix: queuePrefix(prefix),
    concurrency: webhook.concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALL_CHECK_MS,
    maxStalledCount: STALLED_MAX,
    autorun: false,
    skipVersionCheck: true,
  })
  const isWorthSaying = createSeldom(SAME_ERROR_QUIET_MS)
  worker.on('error', (error) => {
    if (isWorthSaying()) log.warn({ fault: faultName(error) }, 'the queue of events reported an error')
  })
  const stumbled = createFaultLog(log)
  worker.on('failed', (job, error) => {
    const fields = { event_id: job?.id }
    if (job?.finishedOn === undefined) return stumbled(error, fields, 'telling an event was put off')
    log.error({ ...fields, attempt: job.attemptsStarted, fault: faultName(error) }, 'event given up')
  })

  return {
    waiting: queue.backlog,
    start(): void {
      worker.run().catch((error: Error) => worker.emit('error', error))
      mover.start()
    },
    async stop(deadlineMs: number): Promise<void> {
      const closing = worker.close(connection.status !== 'ready')
      await within(1_000, mover.stop())
      await within(deadlineMs, closing)
      cutOff.abort()
      await within(1_000, closing)
      await within(1_000, queue.close())
      connection.disconnect()
    },
  }
}

function createEventProcessor({ tell, log, signal }: { tell: Tell; log: Log; signal: AbortSignal }) {
  return async (job: Job, token?: string): Promise<void> => {
    const event = parseEventJob(job.data)
    if (!event || job.id === undefined) {
      log.error({ reason: 'unreadable_event' }, 'events dropped')
      return
    }
    const telling = await tell({ id: job.id, event }, job.attemptsStarted, signal)
    if (telling.kind === 'closed') return
    await job.moveToDelayed(Date.now() + telling.waitMs, token)
    throw new DelayedError()
  }
}
