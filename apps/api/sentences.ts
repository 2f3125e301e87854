/** What a person reads on the page when something is not right: plain words, and what to do. */
import type { ChallengeRefusal, Refused } from '#verification/refusal.ts'
import { retryAfter } from './problem.ts'

/**
 * For every code that is not approved, whatever became of it, and where none was asked for: anybody may type any number
 * here, so another sentence would tell a stranger who is being sent codes. Either way the next step is the same.
 */
export const NOT_APPROVED = 'That code is not right, or no longer valid. Try again, or ask for a new one.'

/** Beside a challenge; the first time it explains itself. */
export const CHALLENGE_SENTENCES: Readonly<Record<ChallengeRefusal, { proof: string; captcha: string }>> = {
  challenge_required: { proof: '', captcha: '' },
  challenge_failed: {
    proof: 'That took too long, or something changed meanwhile. Press the button to try again.',
    captcha: 'That did not work. Please try once more.',
  },
  challenge_used: {
    proof: 'That was used already. Press the button to try again.',
    captcha: 'That was used already. Please try once more.',
  },
}

const REFUSAL_SENTENCES: Partial<Record<Refused['refusal'], string>> = {
  short_number: 'That number is too short. Type the whole number with its country code.',
  premium_number: 'Codes are not sent to premium-rate numbers.',
  toll_free_number: 'Codes are not sent to toll-free numbers.',
  landline_number: 'That is a landline, which cannot receive an SMS.',
  unsupported_number_type: 'That kind of number cannot receive a code.',
  region_not_allowed: 'Codes are not sent to numbers of that country.',
  resend_cooldown: 'A code was sent a moment ago.',
  sends_exhausted: 'That was the last code for now.',
  send_limit: 'This number was sent too many codes.',
  payment_blocked: 'Too many wrong codes were typed for payments of this number.',
  check_limit: 'Too many wrong codes were tried for this number.',
  client_limit: 'Too many codes were asked for from your address.',
  traffic_limit: 'Too many codes were sent there.',
  spend_limit: 'No more codes can be sent for now.',
  guess_limit: 'Too many wrong codes were tried.',
  delivery_backlog: 'Too many people are asking for codes right now.',
  sending_stopped: 'No codes are sent at the moment.',
  challenge_required: 'Codes cannot be sent to this number right now.',
}

export function sentenceOf({ refusal, retryAfterMs }: Refused): string {
  const sentence = REFUSAL_SENTENCES[refusal] ?? 'That is not a valid phone number.'
  return retryAfterMs === undefined ? sentence : `${sentence} Try again in ${waitText(retryAfterMs)}.`
}

function waitText(ms: number): string {
  const seconds = Number(retryAfter(ms))
  if (seconds < 90) return seconds === 1 ? '1 second' : `${seconds} seconds`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`
}
