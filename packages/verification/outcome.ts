/**
 * What an attempt at a send came to (Outcome) and what the carrier reports later (Receipt). Pure data: a provider
 * makes them, the worker carries them, the store records them.
 */
import type { Objection } from './objection.ts'

/**
 * Why an attempt was not plainly accepted. A closed set of our own words: a provider's text may quote the message,
 * and the message holds the code.
 */
export type OutcomeReason =
  | 'not_connected'
  | 'credentials_refused'
  | 'rate_limited'
  | 'daily_limit'
  | 'provider_fault'
  | 'refused_by_provider'
  | 'carrier_refused'
  | 'content_filtered'
  | 'phone_unreachable'
  | 'too_late'
  | 'not_reachable'
  | 'opted_out'
  | 'misconfigured'
  | 'account_blocked'
  | 'timeout'
  | 'connection_lost'
  | 'no_message_id'
  | 'worker_lost'
  | 'key_unknown'

/**
 * - `accepted`: the provider took the message and gave it an id. Not yet delivered.
 * - `rejected`: a permanent no; never tried again.
 * - `busy`: known not to have been sent; may be tried again, after `retryAfterMs` when the provider said so. Once
 *   `triesMax` attempts at a send have come to the same reason, it is a permanent no.
 * - `unknown`: the frame may have left; nobody can say whether the message will arrive.
 * - `found`: nothing was sent this time, because an earlier attempt nobody knew the end of turned out to be accepted.
 * - `withheld`: no provider was asked, because the settings have come to speak against the number.
 */
export type Outcome = (
  | { kind: 'accepted'; messageId: string }
  | { kind: 'rejected'; reason: OutcomeReason }
  | { kind: 'busy'; reason: OutcomeReason; retryAfterMs?: number; triesMax?: number }
  | { kind: 'unknown'; reason: OutcomeReason }
  | { kind: 'found'; messageId: string }
  | { kind: 'withheld'; reason: Objection }
) & {
  /** Whose outcome it is, where it could have been another's. */
  provider?: string
}

/** A carrier's states of a message, as SignalWire names them. */
export const RECEIPT_STATES = ['queued', 'initiated', 'sent', 'delivered', 'undelivered', 'failed'] as const
export type ReceiptState = (typeof RECEIPT_STATES)[number]

/**
 * News about a message from the carrier, in any order and any number of times. `reference` is what we put on the
 * message when we sent it, where the provider returns it. `reason` is our own word (OutcomeReason) where there is one,
 * else the carrier's, washed.
 */
export type Receipt = { messageId: string; reference?: string; state: ReceiptState; reason?: string }
