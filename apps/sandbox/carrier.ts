/**
 * The mobile network behind both doors (websocket and REST): it takes an order or not, as the scenario of the number
 * says, and later tells how the message fares.
 */
import type { Draft, Inbox, Message } from './inbox.ts'
import { type Step, scenarioFor } from './scenarios.ts'
import type { Timers } from './timers.ts'

/** Carries one piece of news back to whoever sent the message. */
export type Tell = (message: Message, step: Step) => void

/** What a door must do with an order. Only `accepted` and `cut` put a message on a phone. */
export type Verdict =
  | { kind: 'accepted'; message: Message; withId: boolean; afterMs: number }
  | { kind: 'cut'; message: Message }
  | { kind: 'rejected' }
  | { kind: 'busy' }
  | { kind: 'fault' }
  | { kind: 'silent' }
  | { kind: 'restart' }

export type Carrier = {
  /** Decides about an order; news that is to come before the answer is told before this returns. */
  take(draft: Draft, tell: Tell): Verdict
  /** Plays the rest of the news. Called by the door once its answer has left, or the connection is cut. */
  follow(message: Message, tell: Tell): void
  /** Forgets which orders were refused as busy. */
  forget(): void
}

/** How many different busy orders are counted at once; past that, all counts start again. */
const BUSY_MAX = 1_000

/** @param pace multiplies every time of a scenario: 1 as written, 0 as fast as possible. */
export function createCarrier({
  inbox,
  timers,
  pace,
}: {
  inbox: Inbox
  timers: Timers
  pace: number
}): Carrier {
  const refusals = new Map<string, number>()

  function isBusy(draft: Draft, times: number): boolean {
    const order = `${draft.to} ${draft.body}`
    const refused = refusals.get(order) ?? 0
    if (refused >= times) return false
    if (refusals.size >= BUSY_MAX) refusals.clear()
    refusals.set(order, refused + 1)
    return true
  }

  function report(message: Message, step: Step, tell: Tell): void {
    inbox.advance(message, step)
    tell(message, step)
  }

  function play(message: Message, steps: readonly Step[], index: number, tell: Tell): void {
    const step = steps[index]
    if (!step) return
    const waitMs = step.atMs - (steps[index - 1]?.atMs ?? 0)
    timers.later(waitMs * pace, () => {
      report(message, step, tell)
      play(message, steps, index + 1, tell)
    })
  }

  function arrive(draft: Draft, early: readonly Step[], tell: Tell): Message {
    const message = inbox.add(draft)
    for (const step of early) report(message, step, tell)
    return message
  }

  function take(draft: Draft, tell: Tell): Verdict {
    const { reply, early } = scenarioFor(draft.to)
    switch (reply.kind) {
      case 'accepted': {
        const message = arrive(draft, early, tell)
        return { kind: 'accepted', message, withId: reply.withId, afterMs: reply.afterMs * pace }
      }
      case 'busy': {
        if (isBusy(draft, reply.times)) return { kind: 'busy' }
        return { kind: 'accepted', message: arrive(draft, early, tell), withId: true, afterMs: 0 }
      }
      case 'cut':
        return { kind: 'cut', message: arrive(draft, early, tell) }
      case 'rejected':
      case 'fault':
      case 'silent':
      case 'restart':
        return reply
      default:
        return reply satisfies never
    }
  }

  return {
    take,
    follow(message, tell) {
      const { steps, callSteps = steps } = scenarioFor(message.to)
      play(message, message.channel === 'call' ? callSteps : steps, 0, tell)
    },
    forget: () => refusals.clear(),
  }
}
