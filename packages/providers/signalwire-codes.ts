/**
 * The one table of SignalWire's error codes: what each means for a message that was refused with it, or that a receipt
 * says was not delivered. Numbers are the Compatibility API's and HTTP's, names those of the newer APIs; the Realtime
 * websocket says either.
 */
import type { Outcome, OutcomeReason } from '#verification/outcome.ts'

export type Refusal = Extract<Outcome, { kind: 'rejected' | 'busy' }>

const never = (reason: OutcomeReason): Refusal => ({ kind: 'rejected', reason })
const later = (reason: OutcomeReason): Refusal => ({ kind: 'busy', reason })
const onceMore = (reason: OutcomeReason): Refusal => ({ kind: 'busy', reason, triesMax: 2 })

/** Every code here says that the message was not sent. */
const ROWS: readonly (readonly [Refusal, string])[] = [
  // Permanent: the number.
  [never('refused_by_provider'), '21211 21217 21603 21604 30005 unknown_destination_handset'],
  [never('refused_by_provider'), 'invalid_to_number invalid_destination_number not_e164'],
  [never('not_reachable'), '21606 21614 30006 unrouteable_message not_routable'],
  [never('opted_out'), '21610 30004 message_blocked_by_number message_blocked_by_carrier'],
  // Permanent: this text, or the price.
  [never('content_filtered'), '30007 carrier_violation message_filtered'],
  [never('refused_by_provider'), '30010'],
  // Configuration: our number, our campaign, our request.
  [never('misconfigured'), '21210 21212 21219 21601 21602 21617 21703 21705 21717'],
  [never('misconfigured'), 'invalid_from_number missing_messaging_capability inactive_campaign'],
  [never('misconfigured'), 'verified_caller_id_not_permitted character_limit_exceeded message_body_required'],
  [never('misconfigured'), 'integration_test_verified_caller_required sending_restricted_to_verified'],
  // Account: nothing goes out by any road until somebody has seen to it, which takes longer than a code lives.
  [
    never('account_blocked'),
    '402 4001 20010 30002 insufficient_balance insufficient_balance_to_send_message',
  ],
  [never('account_blocked'), 'associated_campaign_inactive associated_campaign_suspended'],
  [never('account_blocked'), 'sending_disabled_for_space'],
  // Another road may have other credentials, or a token with the scope that is missing.
  [later('credentials_refused'), '401 403 20003'],
  // Another day. The limit is the brand's or the account's, so that another number of ours would not help either.
  [never('daily_limit'), '30027 35125 tmobile_daily_limit_reached sole_proprietor_daily_limit_exceeded'],
  [never('daily_limit'), 'pft_daily_limit_exceeded'],
  // What the message waited for at the carrier was longer than its code is worth.
  [never('too_late'), '30001 30009 message_validity_period_expired_at_carrier'],
  // Busy: slower.
  [later('rate_limited'), '429 20429 21611 30022 rate_limit_exceeded campaign_throughput_exceeded'],
  [later('rate_limited'), 'max_queued_messages_exceeded message_backlog_limit_exceeded'],
  // Busy: the phone, which is often back soon, or the carrier, which is asked once more.
  [later('phone_unreachable'), '30003 unreachable_destination_handset'],
  [onceMore('carrier_refused'), '30008 unknown_error rejected_by_receiving_carrier_for_unspecified_reason'],
  // Busy: trouble of theirs.
  [later('provider_fault'), '408 20001 20504 31003 internal_error_occurred unable_to_deliver_to_carrier'],
]

const MEANINGS = new Map(ROWS.flatMap(([refusal, codes]) => codes.split(' ').map((code) => [code, refusal])))

/** What a refusal with this code comes to; `undefined` for a code that is in no row. */
export function refusalOf(code: string): Refusal | undefined {
  return MEANINGS.get(code)
}

/** The same for words in which a state says why; they are often a code's name, spelled for people. */
export function refusalInWords(words: string): Refusal | undefined {
  return refusalOf(words.toLowerCase().replace(/[^a-z0-9]+/g, '_'))
}
