/**
 * Every number the service decides by, with its unit, its default and its source. The store writes these numbers into
 * its scripts; nothing else may hold a limit of its own.
 */

import type { EventType } from './event.ts'
import { DEFAULT_GUESS_RULES, DEFAULT_RULES, type Rule } from './gate.ts'
import { DEFAULT_PRICES, type Prices } from './price.ts'

/** At most `max` events in any `windowMs` milliseconds, however they fall across an edge. Its name stands in refusals. */
export type WindowLimit = { name: string; max: number; windowMs: number }

export type Policy = {
  /** Life of a code from the creation of its verification. NIST SP 800-63B-4 §3.1.3.2: at most 10 minutes. */
  codeTtlMs: number
  /** A message handed over later than this before the end of the code would arrive too late to be typed. */
  sendReserveMs: number
  /** How long an ended verification can still be read. Everything about it is gone afterwards. */
  retentionMs: number
  /** Wrong codes one verification takes. RTS (EU) 2018/389 Art. 4(3)(b): five. */
  checksMax: number
  /** Wait after the 1st, 2nd, … send of a verification; as many resends as there are waits. OWASP API4:2023. */
  resendWaitsMs: readonly number[]
  /** Sends to one number over all its verifications of an application. */
  sendLimits: readonly WindowLimit[]
  /**
   * Wrong codes for one number over all its verifications of an application; neither a resend nor a new verification
   * clears them (NIST SP 800-63B-4 §3.1.3.2; RFC 4226 §7.3).
   */
  wrongCheckLimits: readonly WindowLimit[]
  /**
   * Wrong codes in a row, without an approval between them, that disable a number for an application until it is bound
   * again. NIST SP 800-63B-4 §3.2.2: at most 100.
   */
  wrongInARowMax: number
  /** How long a row is remembered after its last wrong code. */
  wrongInARowTtlMs: number
  /**
   * Wrong codes for payments of a number in a row, over however many payments, and how long its payments are refused
   * after them. RTS (EU) 2018/389 Art. 4(3)(b): at most five. No payment takes more, whatever checksMax says.
   */
  payments: { wrongMax: number; blockMs: number; periodMs: number }
  /** What is asked before each send, in this order. */
  rules: readonly Rule[]
  /** What is asked before each code is compared. */
  guessRules: readonly Rule[]
  /** What a message costs, for the budgets of money. */
  prices: Prices
  /** Over how long the share of codes typed in is taken. */
  conversionWindowMs: number
  /** When to ask again while sending is stopped. */
  stoppedRetryMs: number
  /** Whether a resend carries the code already sent, or a new one that ends it. */
  resendCode: 'same' | 'new'
  /** What follows an attempt nobody knows the end of: one more with the same code, or none. */
  unknown: 'resend' | 'stop'
  /** Messages that may have left for one send; two only when the first is unknown. */
  submissionsMax: number
  /**
   * How long a receipt may still settle an unknown attempt before it is made again; and, from when the end of a lease is
   * noticed, how long a worker that could not reach Redis may still record what came of its attempt.
   */
  receiptWaitMs: number
  /** How long before its last moment a send that was busy is tried once more, where its wait would have outlasted it. */
  lastTryMs: number
  /** How long a worker holds an attempt; longer than any provider's own deadline. */
  leaseMs: number
  /** How long a stored send may lie before the sweeper brings it to the queue. */
  sweepAfterMs: number
  /** How long an Idempotency-Key is remembered. */
  idempotencyTtlMs: number
  /** How far apart the clocks of our machines may be; a used challenge is remembered so much longer than it lives. */
  clockSkewMs: number
  /** How long a STOP holds when no START lifts it. */
  suppressionTtlMs: number
  /** No keyword of a number is answered twice within this, so that two robots cannot go on writing to each other. */
  replyWaitMs: number
  /** Which events are left in the outbox; with none of them nothing is written. */
  events: readonly EventType[]
  /** How far ahead of its rate a sender may be: what it may hand over at once, as time. */
  burstMs: number
  /** The longest a send waits before it is looked at again, when more wait for its sender than may leave. */
  turnLongestMs: number
  /** Nobody who is refused because too much waits is told to come back sooner. */
  backlogRetryMs: number
  /** Only where recorded traffic is replayed: the key that holds the time, in milliseconds, instead of Redis's clock. */
  clockKey?: string
}

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/**
 * No configuration goes past these. Of a number Redis keeps an entry for each send (45 bytes) and each wrong code (12
 * bytes) that a window may hold. More wrong codes in a day than in a row would disable it first.
 */
export const HARD_LIMITS = {
  codeTtlMs: 10 * minute,
  checksMax: 10,
  wrongInARowMax: 100,
  wrongPaymentMax: 5,
  windowSends: 50,
  windowWrongChecks: 100,
} as const

export const CODE_DIGITS = 6

/**
 * The proof of work a start may be asked for: its life, and the zero bits a hash must begin with. Each bit doubles the
 * work: 18 are 262,144 hashes on average, about a second on a phone; 24 are a minute.
 */
export const CHALLENGE = { ttlMs: 2 * minute, bits: 18, bitsMin: 10, bitsMax: 24 } as const

export const DEFAULT_POLICY: Policy = {
  codeTtlMs: 5 * minute,
  sendReserveMs: minute,
  retentionMs: 10 * minute,
  checksMax: 5,
  resendWaitsMs: [30 * second, 60 * second, 120 * second],
  sendLimits: [
    { name: 'number_10_minutes', max: 5, windowMs: 10 * minute },
    { name: 'number_day', max: 10, windowMs: 24 * hour },
  ],
  wrongCheckLimits: [
    { name: 'number_wrong_hour', max: 10, windowMs: hour },
    { name: 'number_wrong_day', max: 20, windowMs: 24 * hour },
  ],
  wrongInARowMax: 100,
  wrongInARowTtlMs: 365 * 24 * hour,
  payments: { wrongMax: 5, blockMs: 15 * minute, periodMs: 24 * hour },
  rules: DEFAULT_RULES,
  guessRules: DEFAULT_GUESS_RULES,
  prices: DEFAULT_PRICES,
  conversionWindowMs: 24 * hour,
  stoppedRetryMs: 2 * second,
  resendCode: 'same',
  unknown: 'resend',
  submissionsMax: 2,
  receiptWaitMs: 10 * second,
  lastTryMs: 2 * second,
  leaseMs: 13 * second,
  sweepAfterMs: 5 * second,
  idempotencyTtlMs: 24 * hour,
  clockSkewMs: minute,
  suppressionTtlMs: 5 * 365 * 24 * hour,
  replyWaitMs: 24 * hour,
  events: [],
  burstMs: second,
  turnLongestMs: 30 * second,
  backlogRetryMs: 5 * second,
}
