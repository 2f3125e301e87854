/**
 * One attempt at a send: claim it, hand the message to the provider, record what came of it. The ledger decides before
 * and after; this file has never heard of BullMQ.
 */
import { randomUUID } from 'node:crypto'
import type { Provider } from '#providers/provider.ts'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Claim, Claimed, Deliveries, Recorded } from '#store/deliveries.ts'
import { StoreFault } from '#store/script.ts'
import { messageText } from '#verification/message.ts'
import type { Outcome } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import { backoffMs } from '#verification/retry.ts'
import { formatReference, type SendReference } from '#verification/verification.ts'

/** `closed`: nothing is left to do. `again`: look at the send once more after `waitMs`. */
export type Delivered = { kind: 'closed'; why: string } | { kind: 'again'; waitMs: number }

export type Deliver = (send: SendReference, signal: AbortSignal) => Promise<Delivered>

/** A claim that was given: to send, or to give back unsent. */
type Attempt = Extract<Claim, { attempt: number }>

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
  sender: string
  brand: string
  log: Log
  random: () => number
}): Deliver {
  const { deliveries, provider, policy, log } = deps

  async function handOver(send: SendReference, claim: Claimed, signal: AbortSignal): Promise<Outcome> {
    const { code, destination, locale, deadlineMs } = claim
    const body = messageText({ code, brand: deps.brand, locale, ttlMs: policy.codeTtlMs })
    const reference = formatReference(send)
    const message = { from: deps.sender, to: destination, body, reference, validForMs: deadlineMs }
    return { provider: provider.name, ...(await provider.send(message, signal)) }
  }

  async function attempt(send: SendReference, claim: Attempt, signal: AbortSignal): Promise<Outcome> {
    const startedAt = performance.now()
    const outcome: Outcome =
      claim.kind === 'unusable' ? { kind: 'busy', reason: claim.reason } : await handOver(send, claim, signal)
    log.info(
      {
        ...fieldsOf(send),
        attempt: claim.attempt,
        provider: outcome.provider,
        outcome: outcome.kind,
        reason: outcome.kind === 'accepted' ? undefined : outcome.reason,
        duration_ms: Math.round(performance.now() - startedAt),
      },
      'attempt',
    )
    return outcome
  }

  /** A receipt may carry the provider's id alone; losing this leaves the send `accepted`, which is true. */
  async function rememberMessage(send: SendReference, outcome: Outcome): Promise<void> {
    if (outcome.kind !== 'accepted') return
    try {
      await deliveries.rememberMessage(outcome.messageId, formatReference(send))
    } catch (error) {
      log.warn({ ...fieldsOf(send), fault: faultName(error) }, 'message id not remembered')
    }
  }

  /** What has happened is offered to Redis for as long as the lease holds; then the lease itself says `unknown`. */
  function record(send: SendReference, token: string, outcome: Outcome, waitMs: number): Promise<Recorded> {
    const from = outcome.provider === undefined ? '' : deps.sender
    return untilTaken(policy.leaseMs, () => deliveries.record(send, { token, outcome, waitMs, from }))
  }

  /** A claim whose answer was lost is asked for again with the same token, and given again. */
  async function claim(send: SendReference, token: string): Promise<Claim> {
    const askedAt = performance.now()
    const freshMs = policy.leaseMs / FRESH_SHARE
    const given = await untilTaken(freshMs, () => deliveries.claim(send, token))
    if (given.kind !== 'claimed') return given
    // A worker that was frozen meanwhile must not send: its time, or its turn, may be over.
    const late = performance.now() - askedAt > Math.min(freshMs, given.deadlineMs)
    return late ? { kind: 'unusable', attempt: given.attempt, reason: 'timeout' } : given
  }

  return async (send, signal) => {
    const token = randomUUID()
    const given = await claim(send, token)
    if (given.kind === 'closed') return given
    if (given.kind === 'wait') return { kind: 'again', waitMs: given.waitMs }
    const outcome = await attempt(send, given, signal)
    const [recorded] = await Promise.all([
      record(send, token, outcome, waitOf(outcome, given.attempt, deps.random)),
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
}

/** The provider's own wish goes before our backoff when it is longer. */
function waitOf(outcome: Outcome, attempts: number, random: () => number): number {
  const ours = backoffMs(attempts, random)
  return outcome.kind === 'busy' ? Math.max(ours, outcome.retryAfterMs ?? 0) : ours
}

function fieldsOf({ application, verification, send }: SendReference) {
  return { application, verification, send }
}
