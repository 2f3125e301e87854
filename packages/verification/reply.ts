/**
 * The texts that answer a keyword: one GSM-7 segment each, with the brand, as CTIA's Messaging Principles ask for. None
 * of them reads as a keyword, so two services of this kind that write to each other fall silent at once.
 */
import type { Keyword } from './keyword.ts'

/** An answer that comes later is none: 47 CFR 64.1200(a)(12) calls five minutes prompt. */
export const REPLY_VALID_MS = 300_000

/** Longest contact that leaves the answer to HELP one segment. */
export const CONTACT_LONGEST = 60

/** An address, a number or a name of GSM-7 characters that cost one septet each. */
export function isContact(text: string): boolean {
  return text.length <= CONTACT_LONGEST && /^[A-Za-z0-9 .,&'+\-!?/:;()*#%"<>=_@$]+$/.test(text)
}

/** A contact goes last: a point behind an address would become part of it. */
const texts = {
  stop: (brand) => `${brand}: You have opted out and will get no more messages. Reply START to opt in again.`,
  start: (brand) =>
    `${brand}: You are opted in. A code is sent when you ask for one. Reply HELP for help, STOP to opt out.`,
  help: (brand, contact) =>
    `${brand} codes are sent when asked for. Reply STOP to opt out.${contact === '' ? '' : ` Contact: ${contact}`}`,
} as const satisfies Record<Keyword, (brand: string, contact: string) => string>

/** @param contact where a person gets help, '' when there is nowhere */
export function replyText(keyword: Keyword, options: { brand: string; contact: string }): string {
  return texts[keyword](options.brand, options.contact)
}
