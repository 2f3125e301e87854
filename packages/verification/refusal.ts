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
 * - `too_late_to_send`: less life is left in the code than a message needs to be of use.
 * - `verification_ended`: approved, canceled, expired or exhausted.
 * - `unknown_verification`: no such verification for this application.
 * - `idempotency_mismatch`: the Idempotency-Key was used before with another request.
 */
export type VerificationRefusal =
  | 'resend_cooldown'
  | 'sends_exhausted'
  | 'send_limit'
  | 'check_limit'
  | 'too_late_to_send'
  | 'verification_ended'
  | 'unknown_verification'
  | 'idempotency_mismatch'

/**
 * - `challenge_required`: this start is taken only with a challenge that was passed.
 * - `challenge_failed`: the one it carries is wrong, has expired, or is for another number or network.
 * - `challenge_used`: the one it carries was good for another start already.
 */
export type ChallengeRefusal = 'challenge_required' | 'challenge_failed' | 'challenge_used'

/** `retryAfterMs`: when trying again may help, in milliseconds from now; absent when waiting changes nothing. */
export type Refused = {
  kind: 'refused'
  refusal: DestinationRefusal | VerificationRefusal | ChallengeRefusal
  retryAfterMs?: number
}

export function refused(refusal: Refused['refusal'], retryAfterMs?: number): Refused {
  return retryAfterMs === undefined
    ? { kind: 'refused', refusal }
    : { kind: 'refused', refusal, retryAfterMs }
}

/** Whether a challenge would let the same start through. */
export function isChallengeRefusal(refusal: Refused['refusal']): refusal is ChallengeRefusal {
  return refusal.startsWith('challenge_')
}
