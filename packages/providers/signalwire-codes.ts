/**
 * The one table of SignalWire's error codes: what each means for a message that was refused with it. Numbers are the
 * Compatibility API's and HTTP's, names those of the newer APIs; the Realtime websocket says either.
 */
import type { Outcome, OutcomeReason } from '#verification/outcome.ts'

export type Refusal = Extract<Outcome, { kind: 'rejected' | 'busy' }>

const never = (reason: OutcomeReason): Refusal => ({ kind: 'rejected', reason })
const later = (reason: OutcomeReason): Refusal => ({ kind: 'busy', reason })

/** Every code here says that the message was not sent. */
const ROWS: readonly (readonly [Refusal, string])[] = [
  // Permanent: the number.
  [never('refused_by_provider'), '21211 21217 21603 21604 30005 unknown_destination_handset'],
  [never('refused_by_provider'), 'invalid_to_number invalid_destination_number not_e164'],
  [never('not_reachable'), '21606 21614 30006 unrouteable_message not_routable'],
  [never('opted_out'), '21610 30004 message_blocked_by_number message_blocked_by_carrier'],
  // Permanent: this text, or the price.
  [never('refused_by_provider'), '30007 30010 carrier_violation message_filtered'],
  // Configuration: our number, our campaign, our request.
  [never('misconfigured'), '21210 21212 21219 21601 21602 21617 21703 21705 21717'],
  [never('misconfigured'), 'invalid_from_number missing_messaging_capability inactive_campaign'],
  [never('misconfigured'), 'verified_caller_id_not_permitted character_limit_exceeded message_body_required'],
  [never('misconfigured'), 'integration_test_verified_caller_required sending_restricted_to_verified'],
  // Account: the number is good, and sends go on once credentials, funds or campaign are in order again.
  [later('credentials_refused'), '401 403 20003'],
  [
    later('account_blocked'),
    '402 4001 20010 30002 insufficient_balance insufficient_balance_to_send_message',
  ],
  [later('account_blocked'), 'associated_campaign_inactive associated_campaign_suspended'],
  [later('account_blocked'), 'sending_disabled_for_space'],
  // Busy: slower, or another day.
  [
    later('rate_limited'),
    '429 20429 21611 30022 30027 35125 rate_limit_exceeded campaign_throughput_exceeded',
  ],
  [later('rate_limited'), 'max_queued_messages_exceeded message_backlog_limit_exceeded'],
  [later('rate_limited'), 'tmobile_daily_limit_reached sole_proprietor_daily_limit_exceeded'],
  [later('rate_limited'), 'pft_daily_limit_exceeded'],
  // Busy: trouble of theirs.
  [later('provider_fault'), '408 20001 20504 30003 30008 31003 internal_error_occurred'],
  [later('provider_fault'), 'unreachable_destination_handset unable_to_deliver_to_carrier'],
]

const MEANINGS = new Map(ROWS.flatMap(([refusal, codes]) => codes.split(' ').map((code) => [code, refusal])))

/** What a refusal with this code comes to; `undefined` for a code that is in no row. */
export function refusalOf(code: string): Refusal | undefined {
  return MEANINGS.get(code)
}
