/**
 * The text of the SMS: which language, which of its sentences, and the last line that phones read. As full as the
 * segments allow that the configuration grants, because every segment is billed. What a text may lose, and in which
 * order, is argued in docs/decisions/0010-shorter-before-dearer.md.
 */
import type { Code } from './code.ts'
import { type Context, LONGEST_CONTEXT } from './context.ts'
import { type Size, segmentsOf } from './segments.ts'
import { WORDINGS, type Wording } from './wording.ts'

export type Locale = keyof typeof WORDINGS
export const LOCALES: readonly Locale[] = Object.keys(WORDINGS) as Locale[]
export const DEFAULT_LOCALE: Locale = 'en'

/** What all messages of an installation have in common. */
export type MessageStyle = {
  brand: string
  /** Whose pages may fill in the code: a domain, without scheme or port. */
  domain: string | undefined
  /** The Android app that may read the message: 11 characters of base64. */
  appHash: string | undefined
  /** What a message without a payment may take. */
  segmentsMax: number
}

type Message = MessageStyle & { locale: Locale; ttlMs: number; context?: Context }

/** No message takes more. */
export const SEGMENTS_MOST = 3
/** Google's SMS Retriever reads no longer ones. One a septet, as a phone unpacks it; two a UCS-2 unit. */
const RETRIEVER_BYTES = 140

/**
 * Reads a BCP 47 tag by its language: `fr-CA` is written in `fr`. Chinese is also read by its script, or by the regions
 * that write it the traditional way. `undefined` when there is no text for it.
 */
export function parseLocale(tag: string): Locale | undefined {
  const language = /^([a-z]{2,3})(?:-[a-z0-9]{2,8})*$/i.exec(tag)?.[1]?.toLowerCase()
  if (language === 'zh') return /^zh-hant\b|^zh-(tw|hk|mo)\b/i.test(tag) ? 'zh-Hant' : 'zh'
  return LOCALES.find((locale) => locale === language)
}

/** Ends without a line break, which would make the last line an empty one. */
export function messageText(message: Message & { code: Code }): string {
  return fullest(message).text
}

/**
 * Segments of the messages of an installation, known before a code is: the length of a text depends on everything but
 * its digits. Without a payment it was counted beforehand.
 */
export function countSegments(
  style: MessageStyle & { ttlMs: number },
): (locale: Locale, context?: Context) => number {
  const count = (message: Message) => fullest({ ...message, code: SAMPLE }).size.segments
  const counted = new Map(LOCALES.map((locale) => [locale, count({ ...style, locale })]))
  return (locale, context) =>
    (context ? undefined : counted.get(locale)) ?? count({ ...style, locale, ...(context && { context }) })
}

/** A text that the configuration makes too long, or that left GSM-7. */
export type Misfit = { locale: Locale; payment: boolean; size: Size; limit: number; wanted: Size['encoding'] }

/** Every text of an installation that is not what it should be, the longest payment included. */
export function misfits(style: MessageStyle & { ttlMs: number }): Misfit[] {
  return LOCALES.flatMap((locale) => [{ locale }, { locale, context: LONGEST_CONTEXT }])
    .map((choice) => {
      const message = { ...style, ...choice, code: SAMPLE }
      const { encoding: wanted } = WORDINGS[choice.locale]
      const { size } = fullest(message)
      return { locale: choice.locale, payment: 'context' in choice, size, limit: limitOf(message), wanted }
    })
    .filter(
      ({ size, limit, wanted }) => size.segments > limit || (wanted === 'gsm7' && size.encoding !== wanted),
    )
}

/** A code as long as any. */
const SAMPLE = '000000' as Code

/** An amount and a payee are never left out, so a message with a payment takes what they need. */
const limitOf = ({ segmentsMax, context }: Message) => (context ? SEGMENTS_MOST : segmentsMax)

type Draft = { text: string; size: Size }

/**
 * The fullest text that fits; the shortest when none does, which the programs do not start with. The app's hash is left
 * out only where the app could not read the message anyway, the line with the domain never.
 */
function fullest(message: Message & { code: Code }): Draft {
  const { code, domain, appHash } = message
  const origin = domain === undefined ? [] : [originOf(domain, code)]
  const forApp = appHash === undefined ? undefined : draftsOf(message, [...origin, appHash]).find(isReadByApp)
  if (forApp) return forApp
  const drafts = draftsOf(message, origin)
  for (let limit = message.segmentsMax; limit <= limitOf(message); limit += 1) {
    const fitting = drafts.find(({ size }) => size.segments <= limit)
    if (fitting) return fitting
  }
  return drafts[2]
}

/** From full to short. */
function draftsOf(message: Message & { code: Code }, lastLine: readonly string[]): [Draft, Draft, Draft] {
  const { code, brand, context, ttlMs } = message
  const wording: Wording = WORDINGS[message.locale]
  const minutes = Math.floor(ttlMs / 60_000)
  const first = context ? wording.payment(code, brand, context) : wording.code(code, brand)
  const draft = (...sentences: string[]) => {
    const text = [sentences.join(wording.space), lastLine.join(' ')].filter((line) => line !== '').join('\n')
    return { text, size: segmentsOf(text) }
  }
  return [
    draft(first, wording.validity(minutes), wording.secrecy),
    draft(first, wording.validity(minutes)),
    draft(first),
  ]
}

/** WICG "Origin-bound one-time codes delivered via SMS", §3. What follows the code on its line is not read. */
const originOf = (domain: string, code: Code) => `@${domain} #${code}`

const isReadByApp = ({ size: { encoding, units } }: Draft) =>
  (encoding === 'gsm7' ? units : 2 * units) <= RETRIEVER_BYTES
