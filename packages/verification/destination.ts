/**
 * Where a code goes: reads a phone number into E.164 and says which rule refuses it. Ten spellings of one number are
 * one destination, so every budget counts them together.
 */
import {
  type CountryCode,
  isSupportedCountry,
  type NumberType,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max'
import { type Refused, refused } from './refusal.ts'
import type { Channel } from './verification.ts'

declare const destinationBrand: unique symbol
/**
 * An E.164 number that can receive an SMS, or a call where that was asked for. Made only by parseDestination,
 * parseReturnAddress and openedDestination.
 */
export type Destination = string & { readonly [destinationBrand]: true }

/** ISO 3166-1 alpha-2, as libphonenumber knows regions: `+1` alone is twenty-five of them. */
export type Region = CountryCode

export type ParsedDestination = { kind: 'destination'; destination: Destination; region: Region }

/** Letters, extensions and `tel:` parameters are no spelling of a number. */
const spelling = /^\+?[0-9 ().\-\u00a0]+$/
const SHORTEST_DIGITS = 7
const LONGEST_SPELLING = 32

/**
 * @param text the number as given: E.164, or national when `country` is given
 * @param regions the regions codes may be sent to; everything else is refused
 * @param channel how the code is to go there: a landline takes calls
 */
export function parseDestination(
  text: string,
  options: { country?: Region; regions: ReadonlySet<string>; channel?: Channel },
): ParsedDestination | Refused {
  const digits = text.replace(/[^0-9]/g, '').length
  if (text.length > LONGEST_SPELLING || digits === 0 || !spelling.test(text)) return refused('invalid_number')
  if (digits < SHORTEST_DIGITS) return refused('short_number')
  const number = parsePhoneNumberFromString(text, { extract: false, ...country(options.country) })
  const lineRefusal = refusalOfLine(number?.getType(), options.channel ?? 'sms')
  if (lineRefusal || !number) return refused(lineRefusal ?? 'invalid_number')
  if (!number.country || !options.regions.has(number.country)) return refused('region_not_allowed')
  return { kind: 'destination', destination: number.number as string as Destination, region: number.country }
}

/**
 * Reads a number we may hold something about: wherever it lies and whatever its line, because plans, lists of regions
 * and test numbers change, and what is held must still be found.
 */
export function parseHeldDestination(text: string, code?: Region): Destination | undefined {
  if (text.length > LONGEST_SPELLING || !spelling.test(text)) return undefined
  const number = parsePhoneNumberFromString(text, { extract: false, ...country(code) })?.number
  const spelled = number ?? text.replace(/[^+0-9]/g, '')
  return /^\+[1-9][0-9]{6,14}$/.test(spelled) ? (spelled as string as Destination) : undefined
}

function country(code: Region | undefined) {
  return code === undefined ? {} : { defaultCountry: code }
}

/**
 * SMS reaches mobile lines, and lines that may be mobile; libphonenumber's FAQ says the same. A number is valid exactly
 * when it has a type.
 */
function refusalOfLine(type: NumberType, channel: Channel) {
  switch (type) {
    case undefined:
      return 'invalid_number'
    case 'MOBILE':
    case 'FIXED_LINE_OR_MOBILE':
      return undefined
    case 'PREMIUM_RATE':
      return 'premium_number'
    case 'TOLL_FREE':
      return 'toll_free_number'
    case 'FIXED_LINE':
      return channel === 'call' ? undefined : 'landline_number'
    default:
      return 'unsupported_number_type'
  }
}

export function parseRegion(text: string): Region | undefined {
  return isSupportedCountry(text) ? text : undefined
}

/** The region of a number of our own; `undefined` for short codes and what is no number. */
export function regionOf(text: string): Region | undefined {
  return parsePhoneNumberFromString(text)?.country
}

/**
 * Where an incoming message came from, spelled as a start spells the same number. The carrier wrote it, and what can
 * send an SMS can receive one: no rule about lines is asked. `undefined` for a short number or a name.
 */
export function parseReturnAddress(text: string): Destination | undefined {
  const [, digits] = /^\+?([1-9][0-9]{6,14})$/.exec(text) ?? []
  if (digits === undefined) return undefined
  const number = parsePhoneNumberFromString(`+${digits}`, { extract: false })
  return (number?.number ?? `+${digits}`) as string as Destination
}

/** Takes a destination back from our own sealed copy; it was parsed before it was sealed. */
export function openedDestination(text: string): Destination {
  return text as Destination
}

/**
 * The calling code is hidden with the rest; the last four digits are what a person recognises a number by. Plain
 * ASCII: one character beyond Latin-1 doubles a log line, a command to Redis or an answer in memory, and costs more to
 * write than all the rest of it.
 */
export function maskDestination(destination: Destination): string {
  return `+${'*'.repeat(destination.length - 5)}${destination.slice(-4)}`
}
