/**
 * One attempt at a send: claim it, hand the message to the provider, record what came of it. The ledger decides before
 * and after; this file has never heard of BullMQ.
 */
import { randomUUID } from 'node:crypto'
import type { Message, Provider } from '#providers/provider.ts'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Claim, Claimed, Deliveries, Recorded } from '#store/deliveries.ts'
import { StoreFault } from '#store/script.ts'
import { type MessageStyle, messageText } from '#verification/message.ts'
import type { Outcome } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import { backoffMs } from '#verification/retry.ts'
import { speechOf } from '#verification/speech.ts'
import { formatReference, type SendReference } from '#verification/verification.ts'

/** `closed`: nothing is left to do. `again`: look at the send once more after `waitMs`. */
export type Delivered = { kind: 'closed'; why: string } | { kind: 'again'; waitMs: number }

export type Deliver = (send: SendReference, signal: AbortSignal) => Promise<Delivered>

/** A claim that was given: to send, or to give back unsent. */
type Attempt = Extract<Claim, { attempt: number }>

/** `actBy`: from then on (performance.now) the claim is to be given back. */
type Fresh<T> = T & { actBy: number }

/** How long what Redis did not take waits before it is offered again. */
const AGAIN_MS = 200
/** A claim is acted on within a third of its lease, so that the provider's own deadline ends before the lease does. */
const FRESH_SHARE = 3

/** Offers a command to a Redis that is in trouble until it is taken, or for `ms`. */
async function untilTaken<T>(ms: number, command: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + ms
  for (;;) {
    try {
      return await command()
    } catch (error) {
      if (!(error instanceof StoreFault) || performance.now() + AGAIN_MS > giveUpAt) throw error
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
}

export function createDeliver(deps: {
  deliveries: Deliveries
  provider: Provider
  policy: Policy
  message: MessageStyle
  log: Log
  random: () => number
}): Deliver {
  const { deliveries, provider, policy, log } = deps

  /** Hands the message over, unless an earlier one turns out to have left, or it has become too late meanwhile. */
  async function handOver(send: SendReference, claim: Fresh<Claimed>, signal: AbortSignal): Promise<Outcome> {
    const message = messageOf(send, claim)
    const found = await findEarlier(send, claim, message, signal)
    if (found) return { provider: provider.name, ...found }
    // A worker that was frozen meanwhile must not send: its time, or its turn, may be over.
    if (performance.now() > claim.actBy) return { kind: 'busy', reason: 'timeout' }
    return { provider: provider.name, ...(await provider.send(message, signal)) }
  }

  function messageOf(send: SendReference, claim: Claimed): Message {
    const { code, destination: to, from, locale, channel, context, deadlineMs: validForMs } = claim
    const { message: style } = deps
    const addressed = { from, to, reference: formatReference(send), validForMs }
    return channel === 'call'
      ? { ...addressed, channel, speech: speechOf({ code, brand: style.brand, locale }) }
      : {
          ...addressed,
          channel,
          body: messageText({
            ...style,
            code,
            locale,
            ttlMs: policy.codeTtlMs,
            ...(context ? { context } : {}),
          }),
        }
  }

  /** Before a second message leaves, the provider's log is asked for the first, where there is one. */
  async function findEarlier(
    send: SendReference,
    { mayHaveLeftMs, mayHaveLeftFrom: from = '', attempt }: Claimed,
    message: Message,
    signal: AbortSignal,
  ): Promise<Outcome | undefined> {
    if (mayHaveLeftMs === undefined || !provider.find) return undefined
    const earlier = from === '' ? message : { ...message, from }
    const findings = await provider.find(earlier, Date.now() - mayHaveLeftMs, signal)
    if (typeof findings === 'object') return findings
    log.info(
      { ...fieldsOf(send), attempt, provider: provider.name, result: findings },
      'looked for a message',
    )
    return undefined
  }

  async function attempt(send: SendReference, claim: Fresh<Attempt>, signal: AbortSignal): Promise<Outcome> {
    const startedAt = performance.now()
    const outcome: Outcome =
      claim.kind === 'unusable' ? { kind: 'busy', reason: claim.reason } : await handOver(send, claim, signal)
    log.info(
      {
        ...fieldsOf(send),
        attempt: claim.attempt,
        provider: outcome.provider,
        outcome: outcome.kind,
        reason: 'reason' in outcome ? outcome.reason : undefined,
        duration_ms: Math.round(performance.now() - startedAt),
      },
      'attempt',
    )
    return outcome
  }

  /** A receipt may carry the provider's id alone; losing this leaves the send `accepted`, which is true. */
  async function rememberMessage(send: SendReference, outcome: Outcome): Promise<void> {
    if (!('messageId' in outcome)) return
    try {
      await deliveries.rememberMessage(outcome.messageId, formatReference(send))
    } catch (error) {
      log.warn({ ...fieldsOf(send), fault: faultName(error) }, 'message id not remembered')
    }
  }

  /** What has happened is offered to Redis for as long as the lease holds; then the lease itself says `unknown`. */
  function record(
    send: SendReference,
    { token, outcome, attempt }: { token: string; outcome: Outcome; attempt: Attempt },
  ): Promise<Recorded> {
    const waitMs = waitOf(outcome, attempt.attempt, deps.random)
    const from = outcome.provider === undefined || attempt.kind === 'unusable' ? '' : attempt.from
    return untilTaken(policy.leaseMs, () => deliveries.record(send, { token, outcome, waitMs, from }))
  }

  /** A claim whose answer was lost is asked for again with the same token, and given again. */
  async function claim(send: SendReference, token: string): Promise<Fresh<Claim>> {
    const askedAt = performance.now()
    const freshMs = policy.leaseMs / FRESH_SHARE
    const given = await untilTaken(freshMs, () => deliveries.claim(send, token))
    const goodForMs = given.kind === 'claimed' ? Math.min(freshMs, given.deadlineMs) : freshMs
    return { ...given, actBy: askedAt + goodForMs }
  }

  /** Makes an attempt at what the claim is for, which may be another send than was asked for. */
  async function makeAttempt(given: Fresh<Attempt>, token: string, signal: AbortSignal): Promise<Delivered> {
    const { send } = given
    const outcome = await attempt(send, given, signal)
    const [recorded] = await Promise.all([
      record(send, { token, outcome, attempt: given }),
      rememberMessage(send, outcome),
    ])
    switch (recorded.kind) {
      case 'recorded':
        return { kind: 'closed', why: recorded.state }
      case 'retry':
        return { kind: 'again', waitMs: recorded.waitMs }
      case 'stale':
        log.warn({ ...fieldsOf(send), attempt: given.attempt, outcome: outcome.kind }, 'attempt overtaken')
        return { kind: 'closed', why: 'stale' }
      default:
        return recorded satisfies never
    }
  }

  return async (send, signal) => {
    const token = randomUUID()
    const given = await claim(send, token)
    if (given.kind === 'closed') return { kind: 'closed', why: given.why }
    if (given.kind === 'wait') return { kind: 'again', waitMs: given.waitMs }
    const claimedAt = performance.now()
    const delivered = await makeAttempt(given, token, signal)
    if (given.againMs === undefined) return delivered
    const againMs = Math.max(0, given.againMs - (performance.now() - claimedAt))
    return {
      kind: 'again',
      waitMs: Math.ceil(delivered.kind === 'again' ? Math.min(againMs, delivered.waitMs) : againMs),
    }
  }
}

/** The provider's own wish goes before our backoff when it is longer. */
function waitOf(outcome: Outcome, attempts: number, random: () => number): number {
  const ours = backoffMs(attempts, random)
  return outcome.kind === 'busy' ? Math.max(ours, outcome.retryAfterMs ?? 0) : ours
}

function fieldsOf({ application, verification, send }: SendReference) {
  return { application, verification, send }
}
