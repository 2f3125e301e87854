/**
 * Moves events from the outbox to their queue: first into the queue, then out of the outbox, so that a worker that dies
 * in between moves them once more and loses none. One step moves one batch; any number of workers may run it.
 */
import { randomUUID } from 'node:crypto'
import type { EventQueue } from '#queue/event-queue.ts'
import { createSeldom, type Log } from '#runtime/log.ts'
import { OUTBOX_MAX } from '#store/lua-policy.ts'
import type { Outbox } from '#store/outbox.ts'
import { EVENT_LIFE_MS, type Told } from '#verification/event.ts'
import { createFaultLog, SAID_AGAIN_MS } from './fault-log.ts'
import { createLoop } from './loop.ts'

const BATCH = 100
const REST_MS = 500
/** A receiver that is down for long fills the queue so far; what comes then waits in the outbox, which is bounded too. */
const QUEUED_MAX = 100_000
/** Well below, so that an outbox at its brim is not full and not full in turn. */
const ROOM_AGAIN = 0.9 * OUTBOX_MAX

export function createEventMover(deps: {
  outbox: Pick<Outbox, 'take' | 'remove'>
  queue: Pick<EventQueue, 'add' | 'backlog'>
  log: Log
  now: () => number
}) {
  const { outbox, queue, log, now } = deps
  const stumbled = createFaultLog(log)
  const token = randomUUID()
  const isWorthSaying = createSeldom(SAID_AGAIN_MS, now)
  let saidFull = false

  const isWorthTelling = ({ event }: Told) => now() - Date.parse(event.timestamp) < EVENT_LIFE_MS

  /** A full outbox stays about full for as long as the receiver is away. */
  function sayHowFull(count: number): void {
    if (count >= OUTBOX_MAX && isWorthSaying()) {
      saidFull = true
      log.error({ count }, 'the outbox is full: events are lost')
    } else if (saidFull && count < ROOM_AGAIN) {
      saidFull = false
      log.warn({ count }, 'the outbox has room again')
    }
  }

  async function step(): Promise<'more' | 'rest'> {
    const taken = await outbox.take(token, BATCH)
    if (taken.kind === 'busy') return 'rest'
    sayHowFull(taken.waiting)
    if (taken.entries.length === 0) return 'rest'
    if ((await queue.backlog()) >= QUEUED_MAX) return 'rest'
    const readable = taken.entries.map(({ told }) => told).filter((told) => told !== undefined)
    const dropped = taken.entries.length - readable.length
    if (dropped > 0) log.error({ reason: 'unreadable_event', count: dropped }, 'events dropped')
    const told = readable.filter(isWorthTelling)
    if (told.length < readable.length)
      log.warn({ reason: 'too_old', count: readable.length - told.length }, 'events dropped')
    if (told.length > 0) await queue.add(told)
    await outbox.remove(taken.entries.map(({ id }) => id))
    return taken.entries.length === BATCH ? 'more' : 'rest'
  }

  const { start, stop } = createLoop({
    step,
    restMs: REST_MS,
    onFault: (error) => stumbled(error, {}, 'events put off'),
  })

  return {
    /** Moves one batch; `more` when it was a full one. */
    step,
    start,
    stop,
  }
}
