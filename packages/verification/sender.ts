/**
 * The numbers messages come from: of which kind each is, how fast it may send, and which of them writes to whom. A
 * destination keeps its sender, so that all codes of a service come from one number in a person's phone, and a STOP
 * goes to the number that wrote.
 */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { Channel } from './verification.ts'

export type SenderKind = '10dlc' | 'toll-free' | 'short-code' | 'canadian'

/** `perSecond`: segments of SMS it may hand over in a second. */
export type Sender = { number: string; kind: SenderKind; perSecond: number }

/**
 * Segments a second that SignalWire hands on by default, by kind of number. What is over it queues, in order, for up to
 * hours; a code that waits there can be delivered long after it has expired.
 */
const KIND_RATES: Readonly<Record<SenderKind, number>> = {
  '10dlc': 4,
  'toll-free': 3,
  'short-code': 10,
  canadian: 1,
}

/** SignalWire places one call a second for an account, whatever number it comes from. */
export const CALLS_PER_SECOND = 1

/** Of a slower one a message would not leave within a minute. */
const PER_SECOND_LEAST = 0.1
const PER_SECOND_MOST = 100_000
const entry = /^(\+[1-9][0-9]{6,14}|[0-9]{5,6})(?::(.+))?$/

/** Segments a second, such as `4` or `0.5`. */
export function parsePerSecond(text: string): number | undefined {
  const rate = /^[0-9]{1,6}(\.[0-9]{1,2})?$/.test(text) ? Number(text) : 0
  return rate >= PER_SECOND_LEAST && rate <= PER_SECOND_MOST ? rate : undefined
}

/**
 * Reads `NUMBER`, `NUMBER:KIND` or `NUMBER:RATE`; the number in E.164, or a short code of 5 or 6 digits.
 *
 * @param perSecond the rate of a number that states none; that of its kind when absent
 */
export function parseSender(text: string, perSecond?: number): Sender | undefined {
  const [, number, stated] = entry.exec(text) ?? []
  if (number === undefined) return undefined
  const told = kindOf(number)
  if (stated === undefined) return { number, kind: told, perSecond: perSecond ?? KIND_RATES[told] }
  if (isKind(stated)) {
    // A short code is one by its length, and nothing else is.
    if ((stated === 'short-code') !== (told === 'short-code')) return undefined
    return { number, kind: stated, perSecond: perSecond ?? KIND_RATES[stated] }
  }
  const rate = parsePerSecond(stated)
  return rate === undefined ? undefined : { number, kind: told, perSecond: rate }
}

/** What cannot be told apart counts as 10DLC. */
function kindOf(number: string): SenderKind {
  if (!number.startsWith('+')) return 'short-code'
  const parsed = parsePhoneNumberFromString(number)
  if (parsed?.getType() === 'TOLL_FREE') return 'toll-free'
  return parsed?.country === 'CA' ? 'canadian' : '10dlc'
}

function isKind(text: string): text is SenderKind {
  return Object.hasOwn(KIND_RATES, text)
}

/** Short codes cannot place calls. */
export function canCall({ kind }: Sender): boolean {
  return kind !== 'short-code'
}

/**
 * The sender of a destination: always the same while the senders are. Rendezvous hashing, weighted by rate: each number
 * gets as many destinations as it is fast, and one that is added or taken away moves only those that are then its own.
 *
 * @param senders at least one
 * @param tag the destination's keyed tag
 */
export function chooseSender(senders: readonly Sender[], tag: string, channel: Channel): Sender {
  const callers = channel === 'call' ? senders.filter(canCall) : senders
  const [first, ...others] = callers.length > 0 ? callers : senders
  if (!first) throw new Error('There is no number to send from')
  if (others.length === 0) return first
  const best = { sender: first, score: scoreOf(first, tag) }
  for (const sender of others) {
    const score = scoreOf(sender, tag)
    if (score > best.score) Object.assign(best, { sender, score })
  }
  return best.sender
}

function scoreOf({ number, perSecond }: Sender, tag: string): number {
  return perSecond / -Math.log(uniform(`${tag} ${number}`))
}

/** FNV-1a and the last steps of MurmurHash3, as a number between 0 and 1. The tag is keyed already. */
function uniform(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32 + 2 ** -33
}
