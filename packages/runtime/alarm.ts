/**
 * Says what stops every code at once, and what somebody has to do about it: at level error, in one sentence, once in a
 * while for each reason however many sends meet it.
 */
import type { OutcomeReason } from '#verification/outcome.ts'
import { createSeldom, type Log } from './log.ts'

/** No retry mends these: a person must. */
const SENTENCES: Partial<Record<OutcomeReason, string>> = {
  credentials_refused:
    'SignalWire refuses us: check SIGNALWIRE_PROJECT, SIGNALWIRE_TOKEN and its scopes, SIGNALWIRE_SPACE',
  account_blocked: 'SignalWire has blocked the account: check its balance and its campaigns',
  misconfigured:
    'SignalWire refuses what we ask for: check SIGNALWIRE_SPACE, SIGNALWIRE_NUMBER, its campaign and PROVIDERS',
  daily_limit: 'The messages of this day are used up: offer calls until tomorrow, or have the brand vetted',
  content_filtered: 'Carriers filter our text: check the campaign and its samples with SignalWire',
}

/** A reason that was told is not told again for so long. */
const QUIET_MS = 600_000

/** For any outcome or receipt; most reasons need nobody. `provider` is whose word it is. */
export type Alarm = (said: { reason?: string; provider?: string }) => void

export function createAlarm(log: Log): Alarm {
  const isWorthSaying = createSeldom(QUIET_MS)
  return ({ reason = '', provider }) => {
    const sentence = Object.hasOwn(SENTENCES, reason) ? SENTENCES[reason as OutcomeReason] : undefined
    if (sentence !== undefined && isWorthSaying(reason)) log.error({ reason, provider }, sentence)
  }
}
