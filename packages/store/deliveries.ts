/**
 * What the worker side asks of the ledger: claim an attempt, record what it came to, take receipts, sweep. One
 * function a script.
 */
import type { Redis } from 'ioredis'
import type { Context } from '#verification/context.ts'
import type { Locale } from '#verification/message.ts'
import type { Outcome, OutcomeReason, Receipt } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import type { Sender } from '#verification/sender.ts'
import type { Letter, Vault } from '#verification/vault.ts'
import {
  type Application,
  type Channel,
  formatReference,
  parseApplication,
  type SendReference,
  type SendState,
  type VerificationId,
} from '#verification/verification.ts'
import { createFurthest } from './furthest.ts'
import type { Keys } from './keys.ts'
import { createLines } from './lines.ts'
import { luaEvents, luaSecondRules } from './lua-policy.ts'
import { sharedMeters } from './passage.ts'
import { ask, askAll, loadScript, numberAt, type Reply, textAt } from './script.ts'

/**
 * What a claim was given for. `send` is the one that was asked for, or, while more wait than may leave, another whose
 * code has longer to live: then `againMs` is when to look at the one that was asked for again.
 */
type Given = {
  send: SendReference
  attempt: number
  /** How long ago the send was ordered. */
  queuedMs: number
  /** The rules that spoke up about a second message, as `rule=mode ...`. */
  explain: string
  /** How long from now a message may still be handed over. */
  deadlineMs: number
  againMs?: number
  /** Of the attempts right before this one, how many were busy, all for the same reason; absent when the last was not. */
  busyBefore?: { reason: string; count: number }
}

/** The right to make one attempt. */
export type Claimed = Letter &
  Given & {
    kind: 'claimed'
    locale: Locale
    channel: Channel
    /** Our number it goes out from. */
    from: string
    /** The payment the code is for, to be shown in the message. */
    context?: Context
    /** How long ago the first attempt began whose message may have left; absent when none may. */
    mayHaveLeftMs?: number
    /** Our number that attempt went out from, which may be one of ours no more. */
    mayHaveLeftFrom?: string
  }
export type Claim =
  | Claimed
  | { kind: 'wait'; waitMs: number }
  /** `refusal`, `limit`: what had no room for a second message. `ended`: why the send has just ended, unsent. */
  | { kind: 'closed'; why: string; refusal?: string; limit?: string; ended?: string }
  /** Claimed, but not to be acted on, such as when it is sealed with a key this worker lacks: to be given back. */
  | (Given & { kind: 'unusable'; reason: OutcomeReason })
export type Recorded =
  | { kind: 'recorded'; state: SendState }
  | { kind: 'retry'; waitMs: number }
  | { kind: 'stale' }
export type ReceiptTaken = { kind: 'moved' | 'kept'; state: SendState } | { kind: 'gone' }

/** How long a provider's message id leads back to its send; receipts later than this find nothing to move. */
const MESSAGE_TTL_S = 3_600
/** A longer value would turn the compact hash into one that costs several times as much. */
const REASON_LONGEST = 60
/** How long an application is swept after it was last seen. */
const APPLICATION_TTL_MS = 24 * 3_600_000

export type Deliveries = ReturnType<typeof createDeliveries>

export function createDeliveries(deps: {
  redis: Redis
  keys: Keys
  policy: Policy
  vault: Vault
  senders: readonly Sender[]
}) {
  const { redis, keys, policy, vault } = deps
  const events = luaEvents(policy, keys)
  const lines = createLines(deps)
  const furthest = createFurthest(redis)
  const scripts = {
    claim: loadScript('claim.lua', policy, luaSecondRules(policy, sharedMeters(keys)) + lines.lua + events),
    record: loadScript('record.lua', policy, events),
    receipt: loadScript('receipt.lua', policy, events),
    sweep: loadScript('sweep.lua', policy, events),
  }
  const keysOf = ({ application, verification }: SendReference) => [
    keys.verification(application, verification),
    keys.agenda(application),
  ]

  function askClaim({ application, verification, send }: SendReference, token: string, line: string) {
    return scripts.claim(
      redis,
      [keys.verification(application, verification), keys.stopped(), keys.turn(token)],
      [send, token, keys.suppressions(), line],
    )
  }

  function decodeClaimed(reply: Reply): Claim {
    const owner = keys.ownerOf(textAt(reply, 9))
    const againMs = numberAt(reply, 11)
    const given: Given = {
      send: { ...owner, send: numberAt(reply, 10) },
      attempt: numberAt(reply, 4),
      queuedMs: numberAt(reply, 17),
      deadlineMs: numberAt(reply, 5),
      explain: textAt(reply, 14),
      ...(againMs < 0 ? {} : { againMs }),
      ...(textAt(reply, 15) === ''
        ? {}
        : { busyBefore: { reason: textAt(reply, 15), count: numberAt(reply, 16) } }),
    }
    const sealedFor = { application: owner.application, id: owner.verification }
    const letter = vault.open(textAt(reply, 1), sealedFor)
    const sealedContext = textAt(reply, 12)
    const context = sealedContext === '' ? undefined : vault.openContext(sealedContext, sealedFor)
    if (!letter || (sealedContext !== '' && !context))
      return { kind: 'unusable', ...given, reason: 'key_unknown' }
    const channel = textAt(reply, 3) as Channel
    return {
      kind: 'claimed',
      ...letter,
      ...given,
      ...(context === undefined ? {} : { context }),
      locale: textAt(reply, 2) as Locale,
      channel,
      from: lines.senderOf({ line: textAt(reply, 8), tag: textAt(reply, 7), channel }),
      ...(numberAt(reply, 6) < 0 ? {} : { mayHaveLeftMs: numberAt(reply, 6) }),
      ...(textAt(reply, 13) === '' ? {} : { mayHaveLeftFrom: textAt(reply, 13) }),
    }
  }

  return {
    /**
     * @param asked the send a worker was woken for; another may be more urgent
     * @param token new for each claim; what is recorded later counts only while it still holds
     */
    async claim(asked: SendReference, token: string): Promise<Claim> {
      let reply = await askClaim(asked, token, '')
      if (reply[0] === 'no_line') {
        const { key } = lines.lineOf(textAt(reply, 1), textAt(reply, 2) as Channel)
        reply = await askClaim(asked, token, key)
      }
      if (reply[0] === 'wait') return { kind: 'wait', waitMs: numberAt(reply, 1) }
      if (reply[0] === 'closed') return decodeClosed(reply)
      return decodeClaimed(reply)
    },

    /** @param waitMs when a busy attempt may be made again; `from` is our number, where a provider was asked */
    async record(
      send: SendReference,
      options: { token: string; outcome: Outcome; waitMs: number; from?: string },
    ): Promise<Recorded> {
      const { token, outcome, waitMs, from = '' } = options
      const messageId = 'messageId' in outcome ? outcome.messageId : ''
      const reason = 'reason' in outcome ? outcome.reason : ''
      const reply = await scripts.record(
        redis,
        [...keysOf(send), keys.message(messageId)],
        [
          send.verification,
          send.send,
          token,
          outcome.kind,
          messageId,
          reason,
          waitMs,
          outcome.provider ?? '-',
          from,
          ('triesMax' in outcome && outcome.triesMax) || 0,
          formatReference(send),
          MESSAGE_TTL_S,
        ],
      )
      if (reply[0] === 'retry') return { kind: 'retry', waitMs: numberAt(reply, 1) }
      if (reply[0] === 'stale') return { kind: 'stale' }
      const state = textAt(reply, 1) as SendState
      furthest.note(send, state)
      return { kind: 'recorded', state }
    },

    async takeReceipt(send: SendReference, receipt: Receipt): Promise<ReceiptTaken> {
      const news = provenState(receipt)
      const known = furthest.beyond(send, news)
      if (known) return { kind: 'kept', state: known }
      const reply = await scripts.receipt(redis, keysOf(send), [
        send.verification,
        send.send,
        news,
        receipt.messageId,
        (receipt.reason ?? '').slice(0, REASON_LONGEST),
      ])
      if (reply[0] === 'gone') return { kind: 'gone' }
      const state = textAt(reply, 1) as SendState
      furthest.note(send, state)
      return { kind: reply[0] as 'moved' | 'kept', state }
    },

    /** The reference of the send that a provider's message id was recorded for. */
    async findMessage(messageId: string): Promise<string | undefined> {
      return (await ask(() => redis.get(keys.message(messageId)))) ?? undefined
    },

    /**
     * Looks at up to `count` verifications whose time has come; answers the sends that must be enqueued, and how many
     * it ended because their last moment had passed, where it ended any.
     */
    async sweep(
      application: Application,
      count: number,
    ): Promise<{ looked: number; sends: SendReference[]; unsent?: number }> {
      const agenda = keys.agenda(application)
      const reply = await scripts.sweep(redis, [agenda], [keys.verifications(application), count])
      const sends: SendReference[] = []
      for (let index = 2; index + 1 < reply.length; index += 2) {
        const verification = textAt(reply, index) as VerificationId
        sends.push({ application, verification, send: numberAt(reply, index + 1) })
      }
      const unsent = numberAt(reply, 1)
      return { looked: numberAt(reply, 0), sends, ...(unsent === 0 ? {} : { unsent }) }
    },

    /** Makes the sweeper look after these applications for the next day. */
    async seeApplications(applications: readonly Application[], nowMs: number): Promise<void> {
      const key = keys.applications()
      const members = applications.flatMap((application) => [String(nowMs), application as string])
      const gone = String(nowMs - APPLICATION_TTL_MS)
      await askAll(
        redis
          .pipeline()
          .zadd(key, ...members)
          .zremrangebyscore(key, '-inf', gone)
          .pexpire(key, APPLICATION_TTL_MS),
      )
    },

    async applications(): Promise<Application[]> {
      const names = await ask(() => redis.zrange(keys.applications(), 0, '-1'))
      return names.map(parseApplication).filter((name) => name !== undefined)
    },
  }
}

function decodeClosed(reply: Reply): Claim {
  const closed = { kind: 'closed', why: textAt(reply, 1) } as const
  if (reply.length > 4) return { ...closed, ended: textAt(reply, 4) }
  return reply.length > 2 ? { ...closed, refusal: textAt(reply, 2), limit: textAt(reply, 3) } : closed
}

/** Any receipt at all proves that the provider took the message. */
function provenState(receipt: Receipt): SendState {
  switch (receipt.state) {
    case 'queued':
    case 'initiated':
    case 'sent':
      return 'accepted'
    default:
      return receipt.state
  }
}
