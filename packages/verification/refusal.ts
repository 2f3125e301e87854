/**
 * Every expected no of the service, as one closed list. A refusal is returned, never thrown; the API's table in
 * apps/api/problem.ts gives each its HTTP status and its sentence.
 */

/** A number that cannot receive a code, and which rule says so. */
export type DestinationRefusal =
  | 'invalid_number'
  | 'short_number'
  | 'premium_number'
  | 'toll_free_number'
  | 'landline_number'
  | 'unsupported_number_type'
  | 'region_not_allowed'

/**
 * - `resend_cooldown`: the wait since the last send of this verification is not over.
 * - `sends_exhausted`: this verification has had all its sends.
 * - `send_limit`: the number has had its sends for the window.
 * - `check_limit`: too many wrong codes for the number; nothing is sent to it or checked for it until the window moves.
 * - `payment_blocked`: too many wrong codes in a row for payments of the number; none is begun, sent or checked meanwhile.
 * - `number_disabled`: too many wrong codes in a row; until the application binds the number again.
 * - `too_late_to_send`: less life is left in the code than a message needs to be of use.
 * - `verification_ended`: approved, canceled, expired or exhausted.
 * - `unknown_verification`: no such verification for this application.
 * - `channel_unavailable`: no provider of this service can send that way.
 * - `idempotency_mismatch`: the Idempotency-Key was used before with another request.
 * - `delivery_backlog`: so much waits to be sent that a code sent after it would come too late.
 * - `recipient_opted_out`: the number has answered STOP to one of our numbers. Only its own START changes that.
 */
export type VerificationRefusal =
  | 'resend_cooldown'
  | 'sends_exhausted'
  | 'send_limit'
  | 'check_limit'
  | 'payment_blocked'
  | 'number_disabled'
  | 'too_late_to_send'
  | 'verification_ended'
  | 'unknown_verification'
  | 'channel_unavailable'
  | 'idempotency_mismatch'
  | 'delivery_backlog'
  | 'recipient_opted_out'

/**
 * What the gate before a send says (gate.ts). The name of the rule stands beside it.
 * - `client_limit`: the end user's address has asked for enough.
 * - `traffic_limit`: a number prefix, a region, the application or the deployment has had its sends.
 * - `suspected_fraud`: too few of the codes sent there are ever typed in, or its numbers come in a row.
 * - `spend_limit`: a budget of money is spent.
 * - `guess_limit`: too many wrong codes from an address, for an application or overall; nothing is compared.
 * - `sending_stopped`: whoever runs the service has stopped all sending. Checks go on.
 * - `number_denied`: the number is on the deny list.
 */
export type GateRefusal =
  | 'client_limit'
  | 'traffic_limit'
  | 'suspected_fraud'
  | 'spend_limit'
  | 'guess_limit'
  | 'sending_stopped'
  | 'number_denied'

/**
 * - `challenge_required`: this start or resend is taken only with a challenge that was passed.
 * - `challenge_failed`: the one it carries is wrong, has expired, or is for another number or network.
 * - `challenge_used`: the one it carries was good for another already.
 */
export type ChallengeRefusal = 'challenge_required' | 'challenge_failed' | 'challenge_used'

/** `retryAfterMs`: when trying again may help, in milliseconds from now; absent when waiting changes nothing. */
export type Refused = {
  kind: 'refused'
  refusal: DestinationRefusal | VerificationRefusal | GateRefusal | ChallengeRefusal
  retryAfterMs?: number
  /** The limit that says no. */
  limit?: string
}

export function refused(refusal: Refused['refusal'], retryAfterMs?: number, limit?: string): Refused {
  return {
    kind: 'refused',
    refusal,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(limit === undefined ? {} : { limit }),
  }
}

/** Whether a challenge would let the same start through. */
export function isChallengeRefusal(refusal: Refused['refusal']): refusal is ChallengeRefusal {
  return refusal.startsWith('challenge_')
}
