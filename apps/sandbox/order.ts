/**
 * One order placed over REST: what the carrier makes of it, turned into an HTTP answer, late when it is to be late and
 * none when there is to be none.
 */
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Answers } from './answers.ts'
import type { Callbacks } from './callbacks.ts'
import type { Carrier, Tell, Verdict } from './carrier.ts'
import type { Draft, Inbox, Message } from './inbox.ts'
import type { Settings } from './settings.ts'
import type { Timers } from './timers.ts'

export type RestEnv = { Bindings: HttpBindings; Variables: { project: string } }
export type RestContext = Context<RestEnv>

export type RestParts = {
  inbox: Inbox
  answers: Answers
  carrier: Carrier
  callbacks: Callbacks
  settings: Settings
  timers: Timers
}

/** How one API words a no. */
export type Refusals = Record<'rejected' | 'busy' | 'fault' | 'restart', (c: RestContext) => Response>

export type Order = {
  draft: Draft
  tell: Tell
  refusals: Refusals
  /** @param withId false: the answer leaves out the id of the message. */
  accepted(message: Message, withId: boolean): Response
}

export async function placeOrder(c: RestContext, order: Order, parts: RestParts): Promise<Response> {
  const verdict = parts.carrier.take(order.draft, order.tell)
  if (verdict.kind === 'cut') {
    c.env.incoming.socket.destroy()
    parts.carrier.follow(verdict.message, order.tell)
  }
  if (verdict.kind === 'cut' || verdict.kind === 'silent') return never()
  await waitFor(verdict, parts)
  if (verdict.kind !== 'accepted') return order.refusals[verdict.kind](c)
  parts.carrier.follow(verdict.message, order.tell)
  return order.accepted(verdict.message, verdict.withId)
}

/** The client waits until it gives up or the sandbox closes. */
const never = () => new Promise<Response>(() => {})

function waitFor(verdict: Verdict, { settings, timers }: RestParts): Promise<void> {
  const scenarioMs = verdict.kind === 'accepted' ? verdict.afterMs : 0
  return new Promise((resolve) => timers.soon(settings.latencyMs + scenarioMs, resolve))
}
