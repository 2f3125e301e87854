/**
 * One attempt at a send: claim it, hand the message to the provider, record what came of it. The ledger decides before
 * and after; this file has never heard of BullMQ.
 */
import { randomUUID } from 'node:crypto'
import type { Message, Provider } from '#providers/provider.ts'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import { pause } from '#runtime/shutdown.ts'
import type { Claim, Claimed, Deliveries, Recorded } from '#store/deliveries.ts'
import { StoreFault } from '#store/script.ts'
import { alarmsIn } from '#verification/gate.ts'
import { type MessageStyle, messageText } from '#verification/message.ts'
import { type Moment, msBetween } from '#verification/moment.ts'
import type { ObjectionTo } from '#verification/objection.ts'
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

type Closed = Extract<Claim, { kind: 'closed' }>

/** `askedAt`: before the claim was asked for. `freshMs` after that it is to be given back. */
type Fresh<T> = T & { askedAt: Moment; freshMs: number }

/** How long what Redis did not take waits before it is offered again; twice as long each time, up to the longest. */
const AGAIN_MS = 200
const AGAIN_LONGEST_MS = 1_000
/** How long what was cut off by the end of the program is offered; main.ts waits a second for it. */
const CUT_OFF_MS = 400
/** A claim is acted on within a third of its lease, so that the provider's own deadline ends before the lease does. */
const FRESH_SHARE = 3

/** How long a command is offered: while there is time left, and a moment longer than until `signal`. */
type Patience = { leftMs: () => number; signal: AbortSignal }

/** Offers a command to a Redis that is in trouble until it is taken, or patience ends. */
async function untilTaken<T>({ leftMs, signal }: Patience, command: () => Promise<T>): Promise<T> {
  let waitMs = AGAIN_MS
  let cutOffAt = Number.POSITIVE_INFINITY
  for (;;) {
    try {
      return await command()
    } catch (error) {
      if (signal.aborted) {
        waitMs = AGAIN_MS
        cutOffAt = Math.min(cutOffAt, performance.now() + CUT_OFF_MS)
      }
      const late = leftMs() < waitMs || performance.now() + waitMs > cutOffAt
      if (late || !(error instanceof StoreFault)) throw error
    }
    await pause(waitMs, signal)
    waitMs = Math.min(2 * waitMs, AGAIN_LONGEST_MS)
  }
}

export function createDeliver(deps: {
  deliveries: Deliveries
  provider: Provider
  policy: Policy
  /** Here the number is open, and nothing comes between the question and the message. */
  objectionTo: ObjectionTo
  message: MessageStyle
  log: Log
  random: () => number
  moment: () => Moment
}): Deliver {
  const { deliveries, provider, policy, log, moment } = deps

  /**
   * Hands the message over, unless an earlier one turns out to have left, the number is not to be sent to any more, or
   * it has become too late meanwhile.
   */
  async function handOver(send: SendReference, claim: Fresh<Claimed>, signal: AbortSignal): Promise<Outcome> {
    const message = messageOf(send, claim)
    const found = await findEarlier(send, claim, message, signal)
    if (found) return { provider: provider.name, ...found }
    const objection = deps.objectionTo(claim.destination, claim.channel)
    if (objection) return { kind: 'withheld', reason: objection }
    // A worker that was frozen meanwhile must not send: its time, or its turn, may be over.
    if (msBetween(claim.askedAt, moment()) > claim.freshMs) return { kind: 'busy', reason: 'timeout' }
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
        queued_ms: claim.queuedMs,
        provider: outcome.provider,
        outcome: outcome.kind,
        reason: 'reason' in outcome ? outcome.reason : undefined,
        duration_ms: Math.round(performance.now() - startedAt),
      },
      'attempt',
    )
    return outcome
  }

  /**
   * What has happened is offered to Redis for as long as the code lives: also when the lease ran out, because the ledger
   * believes it until another worker has claimed, and none may right after an outage.
   */
  async function record(
    send: SendReference,
    { token, outcome, attempt }: { token: string; outcome: Outcome; attempt: Attempt },
    patience: Patience,
  ): Promise<Recorded> {
    const waitMs = waitOf(outcome, attempt, deps.random)
    const from = outcome.provider === undefined || attempt.kind === 'unusable' ? '' : attempt.from
    try {
      return await untilTaken(patience, () => deliveries.record(send, { token, outcome, waitMs, from }))
    } catch (error) {
      const told = { attempt: attempt.attempt, provider: outcome.provider, outcome: outcome.kind }
      log.error({ ...fieldsOf(send), ...told, fault: faultName(error) }, 'outcome not recorded')
      throw error
    }
  }

  /** Another worker holds the send by now. That our message was taken is as true as a receipt, and may save the other. */
  async function tellOvertaken(send: SendReference, outcome: Outcome, patience: Patience): Promise<void> {
    if (outcome.kind !== 'accepted') return
    const { messageId } = outcome
    await untilTaken(patience, () => deliveries.takeReceipt(send, { messageId, state: 'queued' }))
  }

  /** A claim whose answer was lost is asked for again with the same token, and given again. */
  async function claim(send: SendReference, token: string, signal: AbortSignal): Promise<Fresh<Claim>> {
    const askedAt = moment()
    const longestMs = policy.leaseMs / FRESH_SHARE
    const patience = { leftMs: () => longestMs - msBetween(askedAt, moment()), signal }
    const given = await untilTaken(patience, () => deliveries.claim(send, token))
    const freshMs = given.kind === 'claimed' ? Math.min(longestMs, given.deadlineMs) : longestMs
    return { ...given, askedAt, freshMs }
  }

  /** Makes an attempt at what the claim is for, which may be another send than was asked for. */
  async function makeAttempt(given: Fresh<Attempt>, token: string, signal: AbortSignal): Promise<Delivered> {
    const { send } = given
    const outcome = await attempt(send, given, signal)
    const livesMs = given.deadlineMs + policy.sendReserveMs
    const patience = { leftMs: () => livesMs - msBetween(given.askedAt, moment()), signal }
    const recorded = await record(send, { token, outcome, attempt: given }, patience)
    switch (recorded.kind) {
      case 'recorded':
        if (recorded.state === 'expired') tellUnsent(send, 'not_sent_in_time')
        return { kind: 'closed', why: recorded.state }
      case 'retry':
        return { kind: 'again', waitMs: recorded.waitMs }
      case 'stale':
        log.warn({ ...fieldsOf(send), attempt: given.attempt, outcome: outcome.kind }, 'attempt overtaken')
        await tellOvertaken(send, outcome, patience)
        return { kind: 'closed', why: 'stale' }
      default:
        return recorded satisfies never
    }
  }

  function tellUnsent(send: SendReference, reason: string): void {
    log.info({ ...fieldsOf(send), reason }, 'ended unsent')
  }

  function close(send: SendReference, { why, refusal, limit, ended }: Closed): Delivered {
    if (ended) tellUnsent(send, ended)
    if (refusal) log.warn({ ...fieldsOf(send), refusal, limit }, 'second message refused')
    return { kind: 'closed', why }
  }

  return async (send, signal) => {
    const token = randomUUID()
    const given = await claim(send, token, signal)
    if (given.kind === 'closed') return close(send, given)
    if (given.kind === 'wait') return { kind: 'again', waitMs: given.waitMs }
    for (const limit of alarmsIn(given.explain)) log.warn({ limit }, 'a limit is nearly reached')
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

/** Grows with those that were busy for the same reason in a row: others say nothing about this one. */
function waitOf(outcome: Outcome, { busyBefore }: Attempt, random: () => number): number {
  if (outcome.kind !== 'busy') return 0
  const before = busyBefore?.reason === outcome.reason ? busyBefore.count : 0
  return backoffMs(before + 1, random, outcome.retryAfterMs)
}

function fieldsOf({ application, verification, send }: SendReference) {
  return { application, verification, send }
}
