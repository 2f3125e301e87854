/**
 * Tells the receiver one event, once: whether it was taken, or when to try again, for as long as the event is worth
 * telling. One log line a try. Has never heard of BullMQ.
 */
import type { Log, LogFields } from '#runtime/log.ts'
import type { Outbox } from '#store/outbox.ts'
import { EVENT_LIFE_MS, type Event, type Told } from '#verification/event.ts'
import { tellAgainMs } from '#verification/retry.ts'
import type { Post, Posted } from '#webhooks/post.ts'

/** One answer that is wrong, or whose clock is, must not cost an event its day of tries. */
const RETRY_AFTER_LONGEST_MS = 3_600_000

export type Telling = { kind: 'closed' } | { kind: 'again'; waitMs: number }

/** @param tries tries that have begun, this one included */
export type Tell = (told: Told, tries: number, signal: AbortSignal) => Promise<Telling>

export function createTell(deps: {
  post: Post
  outbox: Pick<Outbox, 'isGone' | 'setGone'>
  /** A word for the receiver's address. */
  receiver: string
  log: Log
  random: () => number
  now: () => number
}): Tell {
  const { post, outbox, receiver, log, now } = deps

  /** A receiver whose Retry-After is longer than our own wait is left alone for as long as it says, within reason. */
  function again({ id, event }: Told, tries: number, posted: Posted, startedAt: number): Telling {
    const wished = posted.kind === 'refused' ? (posted.retryAfterMs ?? 0) : 0
    const waitMs = Math.max(tellAgainMs(tries, deps.random), Math.min(wished, RETRY_AFTER_LONGEST_MS))
    const late = now() + waitMs >= Date.parse(event.timestamp) + EVENT_LIFE_MS
    const fields = { ...fieldsOf(id, event, tries, startedAt), ...answerOf(posted) }
    if (!late) {
      log.info(fields, 'event not taken')
      return { kind: 'again', waitMs }
    }
    log.error(fields, 'event given up')
    return { kind: 'closed' }
  }

  return async (told, tries, signal) => {
    const { id, event } = told
    const startedAt = performance.now()
    if (await outbox.isGone(receiver)) {
      log.debug({ event_id: id, event: event.type, reason: 'receiver_gone' }, 'event dropped')
      return { kind: 'closed' }
    }
    const posted = await post({ id, body: JSON.stringify(event), atMs: now() }, signal)
    // Cut off by our own stop: the next worker tells it, and the receiver knows it by its id.
    if (signal.aborted && posted.kind === 'failed') return { kind: 'again', waitMs: 0 }
    if (posted.kind === 'taken') {
      log.info({ ...fieldsOf(id, event, tries, startedAt), ...answerOf(posted) }, 'event taken')
      return { kind: 'closed' }
    }
    if (posted.kind !== 'gone') return again(told, tries, posted, startedAt)
    await outbox.setGone(receiver)
    log.error(
      { ...fieldsOf(id, event, tries, startedAt), ...answerOf(posted) },
      'the receiver wants no more events',
    )
    return { kind: 'closed' }
  }
}

function fieldsOf(id: string, { type, data }: Event, tries: number, startedAt: number): LogFields {
  return {
    event_id: id,
    event: type,
    application: data.application,
    ...('verification' in data ? { verification: data.verification, destination: data.to } : {}),
    ...('send' in data ? { send: data.send } : {}),
    ...('limit' in data ? { limit: data.limit } : {}),
    attempt: tries,
    duration_ms: Math.round(performance.now() - startedAt),
  }
}

function answerOf(posted: Posted): LogFields {
  return posted.kind === 'failed' ? { reason: posted.reason } : { status: posted.status }
}
