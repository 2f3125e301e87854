/**
 * Moves events from the outbox to their queue: first into the queue, then out of the outbox, so that a worker that dies
 * in between moves them once more and loses none. One step moves one batch; any number of workers may run it.
 */
import { randomUUID } from 'node:crypto'
import type { EventQueue } from '#queue/event-queue.ts'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import { OUTBOX_MAX } from '#store/lua-policy.ts'
import type { Outbox } from '#store/outbox.ts'
import { EVENT_LIFE_MS, type Told } from '#verification/event.ts'

const BATCH = 100
const REST_MS = 500
/** A receiver that is down for long fills the queue so far; what comes then waits in the outbox, which is bounded too. */
const QUEUED_MAX = 100_000

export function createEventMover(deps: {
  outbox: Pick<Outbox, 'take' | 'remove'>
  queue: Pick<EventQueue, 'add' | 'backlog'>
  log: Log
  now: () => number
}) {
  const { outbox, queue, log, now } = deps
  const token = randomUUID()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let stopped = false

  const isWorthTelling = ({ event }: Told) => now() - Date.parse(event.timestamp) < EVENT_LIFE_MS

  async function step(): Promise<'more' | 'rest'> {
    const taken = await outbox.take(token, BATCH)
    if (taken.kind === 'busy' || taken.entries.length === 0) return 'rest'
    if (taken.waiting >= OUTBOX_MAX)
      log.error({ count: taken.waiting }, 'the outbox is full: events are lost')
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

  async function run(): Promise<void> {
    let next: 'more' | 'rest' = 'rest'
    try {
      next = await step()
    } catch (error) {
      log.debug({ fault: faultName(error) }, 'events put off')
    }
    if (!stopped) schedule(next === 'more' ? 0 : REST_MS)
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => {
      running = run()
    }, ms)
  }

  return {
    /** Moves one batch; `more` when it was a full one. */
    step,
    start: () => schedule(0),
    /** No step begins after this resolves. */
    async stop(): Promise<void> {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
