/** The fields callers send, each with its rule and the sentence for when it is broken. */
import { isIP } from 'node:net'
import * as v from 'valibot'
import { parseAmount, parseCurrency, parsePayee } from '#verification/context.ts'
import { parseRegion } from '#verification/destination.ts'
import { DEFAULT_LOCALE, parseLocale } from '#verification/message.ts'
import { CHANNELS, DEFAULT_PURPOSE, parsePurpose } from '#verification/verification.ts'

const text = (longest: number) =>
  v.pipe(v.string('must be a string'), v.maxLength(longest, `must be at most ${longest} characters`))

/** A string that a parser of the core turns into a branded value. */
function parsedBy<T>(parse: (text: string) => T | undefined, expected: string) {
  return v.pipe(
    text(64),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value)
      if (value !== undefined) return value
      addIssue({ message: expected })
      return NEVER
    }),
  )
}

export const toField = text(64)
export const codeField = text(64)
export const countryField = parsedBy(parseRegion, 'must be a two-letter country code such as US')
export const purposeField = v.optional(
  parsedBy(parsePurpose, 'must be 1 to 32 characters a-z 0-9 - _'),
  DEFAULT_PURPOSE,
)
export const channelField = v.optional(v.picklist(CHANNELS, `must be ${CHANNELS.join(' or ')}`), 'sms')
/** A language without a template of ours gets English; the answer says which it was. */
export const localeField = v.optional(
  parsedBy(
    (tag) =>
      /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/.test(tag) ? (parseLocale(tag) ?? DEFAULT_LOCALE) : undefined,
    'must be a language tag such as en or fr-CA',
  ),
  DEFAULT_LOCALE,
)
export const clientIpField = parsedBy((ip) => (isIP(ip) === 0 ? undefined : ip), 'must be an IP address')

/** A solved proof of work, or what a CAPTCHA's widget gave. What is in it is judged, not parsed. */
export const challengeField = v.union(
  [
    v.strictObject({ token: text(128), solution: text(16) }),
    v.strictObject({ captcha: v.pipe(text(8_192), v.nonEmpty('must not be empty')) }),
  ],
  'must be {token, solution} or {captcha}',
)
/** A payment. The code is bound to it, and the message shows it. */
export const contextField = v.strictObject({
  amount: parsedBy(parseAmount, 'must be a decimal such as 1249.90, with at most 12 and 4 digits'),
  currency: parsedBy(parseCurrency, 'must be three capital letters such as EUR'),
  payee: parsedBy(parsePayee, 'must be 1 to 30 plain characters, and no link'),
})
