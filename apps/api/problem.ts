/**
 * The one table from a refusal to what a caller gets: HTTP status and sentence, as application/problem+json
 * (RFC 9457). `code` is stable; sentences may be improved at any time.
 */
import type { Context } from 'hono'
import type { Scope } from '#verification/api-key.ts'
import type {
  ChallengeRefusal,
  DestinationRefusal,
  GateRefusal,
  Refused,
  VerificationRefusal,
} from '#verification/refusal.ts'
import type { ApiEnv } from './context.ts'
import { answerJson } from './headers.ts'

type RequestProblem =
  | 'malformed_json'
  | 'invalid_request'
  | 'invalid_code'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'unauthorized'
  | 'bad_signature'
  | 'insufficient_scope'
  | 'not_found'
  | 'method_not_allowed'
  | 'stream_limit'
  | 'service_unavailable'
  | 'internal_fault'

export type ProblemCode =
  | DestinationRefusal
  | VerificationRefusal
  | GateRefusal
  | ChallengeRefusal
  | RequestProblem

type Row = readonly [status: number, title: string]

export const PROBLEMS: Readonly<Record<ProblemCode, Row>> = {
  malformed_json: [400, 'The body is not valid JSON.'],
  invalid_request: [400, 'The request has fields that are missing, wrong or unknown.'],
  invalid_code: [400, 'A code is 6 digits. This check was not counted.'],
  unauthorized: [401, 'Send a valid API key as "Authorization: Bearer KEY".'],
  bad_signature: [403, 'The signature of this callback is not right.'],
  insufficient_scope: [403, 'This API key lacks the scope that the call needs.'],
  not_found: [404, 'There is nothing at this address.'],
  method_not_allowed: [405, 'This address does not take this method.'],
  body_too_large: [413, 'The body is larger than 8 KiB.'],
  unsupported_media_type: [415, 'Send the body as application/json.'],
  invalid_number: [422, 'This is not a valid phone number.'],
  short_number: [422, 'This is a short number; codes are sent to full phone numbers only.'],
  premium_number: [422, 'Codes are not sent to premium-rate numbers.'],
  toll_free_number: [422, 'Codes are not sent to toll-free numbers.'],
  landline_number: [422, 'This is a landline, which cannot receive an SMS.'],
  unsupported_number_type: [422, 'This kind of number cannot receive a code.'],
  region_not_allowed: [422, 'Codes are not sent to numbers of this country.'],
  channel_unavailable: [422, 'This service cannot send a code that way.'],
  recipient_opted_out: [403, 'This number has answered STOP. It gets no codes until it sends START.'],
  unknown_verification: [404, 'There is no such verification.'],
  verification_ended: [409, 'This verification has ended. Start a new one.'],
  too_late_to_send: [409, 'The code has too little life left to be sent again. Start a new verification.'],
  number_disabled: [403, 'Too many wrong codes in a row: this number is disabled until it is bound again.'],
  idempotency_mismatch: [422, 'This Idempotency-Key was used before with another request.'],
  // 428 (RFC 6585 §3): the same request again, with what it lacked, may well be taken. 403 would say that it is over.
  challenge_required: [428, 'Pass on a challenge with this request. One is in "challenge".'],
  challenge_failed: [
    428,
    'The challenge is wrong, has expired or is for another number. Another is in "challenge".',
  ],
  challenge_used: [428, 'The challenge was used before. Another is in "challenge".'],
  resend_cooldown: [429, 'A code was sent a moment ago. Wait before asking for another.'],
  sends_exhausted: [429, 'This verification has had all its sends.'],
  send_limit: [429, 'This number has been sent too many codes. Wait before asking for another.'],
  check_limit: [429, 'Too many wrong codes were tried for this number. Wait before trying again.'],
  payment_blocked: [
    429,
    'Too many wrong codes were typed for payments of this number. Payments have to wait.',
  ],
  client_limit: [429, 'Too many codes were asked for from this address. Wait before asking for another.'],
  traffic_limit: [429, 'Too many codes were sent there. Wait before asking for another.'],
  suspected_fraud: [
    429,
    'Too few of the codes sent to numbers like this one are ever used. Try again later.',
  ],
  spend_limit: [
    429,
    'A budget for messages is spent. Where no time to wait is told, this message costs more than all of it.',
  ],
  guess_limit: [429, 'Too many wrong codes were tried. Nothing is checked until some time has passed.'],
  number_denied: [403, 'Codes are not sent to this number.'],
  stream_limit: [429, 'Too many verifications are being followed. Read this one, or try again shortly.'],
  sending_stopped: [503, 'Sending is stopped. Codes already sent can be checked.'],
  delivery_backlog: [503, 'Too many codes wait to be sent. One sent after them would come too late.'],
  service_unavailable: [503, 'The service cannot answer right now. Try again shortly.'],
  internal_fault: [500, 'Something went wrong on our side.'],
}

export type FieldProblem = { field: string; problem: string }

export function problem(
  c: Context<ApiEnv>,
  code: ProblemCode,
  more: {
    retryAfterMs?: number
    limit?: string
    errors?: readonly FieldProblem[]
    scope?: Scope
    challenge?: Readonly<Record<string, unknown>>
    headers?: Record<string, string>
  } = {},
): Response {
  const [status, title] = PROBLEMS[code]
  c.set('refusal', code)
  const wait = more.retryAfterMs === undefined ? undefined : retryAfter(more.retryAfterMs)
  const body = {
    type: `urn:sms-two-factor-auth:problem:${code}`,
    title,
    status,
    code,
    retry_after: wait === undefined ? undefined : Number(wait),
    limit: more.limit,
    errors: more.errors,
    scope: more.scope,
    challenge: more.challenge,
  }
  return answerJson(c, status, body, {
    'Content-Type': 'application/problem+json',
    ...(wait === undefined ? {} : { 'Retry-After': wait }),
    ...more.headers,
  })
}

export function refusal(c: Context<ApiEnv>, { refusal: code, retryAfterMs, limit }: Refused): Response {
  c.set('limit', limit)
  return problem(c, code, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(limit === undefined ? {} : { limit }),
  })
}

/** Whole seconds, rounded up: a caller who waits them is never early. */
export function retryAfter(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1000)))
}
