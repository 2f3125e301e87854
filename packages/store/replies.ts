/**
 * Whether the answer to a keyword may leave: at the pace of our number, as codes do, within the budgets of money, and
 * not while sending is stopped.
 */
import type { Redis } from 'ioredis'
import type { Region } from '#verification/destination.ts'
import type { Policy } from '#verification/policy.ts'
import { priceOf } from '#verification/price.ts'
import { parseSender, type Sender } from '#verification/sender.ts'
import type { Vault } from '#verification/vault.ts'
import type { Keys } from './keys.ts'
import { luaEvents, luaReplyRules } from './lua-policy.ts'
import { createPassage } from './passage.ts'
import { loadScript, numberAt, textAt } from './script.ts'

export type Reply = {
  /** Our number, which it leaves from. */
  from: string
  /** Of the person's number. */
  region: Region
  segments: number
  /** It was let go before and has not left; it costs once. */
  again: boolean
}

/** `why`: what it was that kept it, should the wait be too long. */
export type ReplyTurn =
  | { kind: 'go'; explain: string }
  | { kind: 'wait'; waitMs: number; why: 'sending_stopped' | 'not_sent_in_time' }
  | { kind: 'refused'; refusal: string; limit: string }

export type Replies = ReturnType<typeof createReplies>

export function createReplies(deps: {
  redis: Redis
  keys: Keys
  policy: Policy
  vault: Vault
  senders: readonly Sender[]
}) {
  const { redis, keys, policy, senders } = deps
  const passage = createPassage(deps)
  const script = loadScript('reply.lua', policy, luaReplyRules(policy) + luaEvents(policy, keys))
  return {
    /** `go`: it may leave now, and counts as having left. */
    async take({ from, region, segments, again }: Reply): Promise<ReplyTurn> {
      const perSecond = (senders.find(({ number }) => number === from) ?? parseSender(from))?.perSecond
      const segmentMs = perSecond === undefined ? 0 : 1_000 / perSecond
      const price = again ? 0 : priceOf(policy.prices, { region, segments, channel: 'sms' })
      const reply = await script(
        redis,
        [keys.pace(from), keys.stopped(), ...passage.replyKeys(region)],
        [segments, segmentMs, price],
      )
      if (reply[0] === 'wait')
        return {
          kind: 'wait',
          waitMs: numberAt(reply, 1),
          why: textAt(reply, 2) === 'sending_stopped' ? 'sending_stopped' : 'not_sent_in_time',
        }
      if (reply[0] === 'refused')
        return { kind: 'refused', refusal: textAt(reply, 1), limit: textAt(reply, 3) }
      return { kind: 'go', explain: textAt(reply, 1) }
    },
  }
}
