/**
 * The text of the SMS: vectors whose file name is the rule, and what holds in every language, under every brand and
 * with every last line: the code once and whole, what a phone reads where it looks for it, no segment too many.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseCode } from '#verification/code.ts'
import { type Context, LONGEST_CONTEXT, parseContext } from '#verification/context.ts'
import {
  countSegments,
  LOCALES,
  type Locale,
  type MessageStyle,
  messageText,
  misfits,
  parseLocale,
} from '#verification/message.ts'
import { NAME_LONGEST } from '#verification/plain-name.ts'
import { HARD_LIMITS } from '#verification/policy.ts'
import { type Size, segmentsOf } from '#verification/segments.ts'
import { parseOriginBoundCode } from './origin-bound-code.ts'

type Vector = Size & {
  locale: Locale
  text: string
  minutes?: number
  context?: Record<keyof Context, string>
} & Partial<MessageStyle>

const FOLDER = new URL('../vectors/messages/', import.meta.url)

const rules = readdirSync(FOLDER).map((file) => ({
  rule: file.replace('.json', '').replaceAll('-', ' '),
  ...(JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as {
    style: Partial<MessageStyle>
    messages: Vector[]
  }),
}))

const code = parseCode('012345')
if (!code) throw new Error('012345 is no code')

const PLAIN: MessageStyle = { brand: 'Acme', domain: undefined, appHash: undefined, segmentsMax: 1 }
const DOMAIN = 'example.com'
const HASH = 'FA+9qCX9VSu'
const UCS_2 = ['ja', 'zh', 'zh-Hant', 'hi', 'ar']
const PAYMENT = contextOf({ amount: '1249.90', currency: 'EUR', payee: 'Corner Shop' })
const MINUTES = [2, 3, 4, 5, 6, 7, 8, 9, 10]

function contextOf(fields: Record<keyof Context, string>): Context {
  const context = parseContext(fields)
  if (!context) throw new Error(`${JSON.stringify(fields)} is no payment`)
  return context
}

const textOf = (
  choice: Partial<MessageStyle> & { locale: Locale; minutes?: number; context?: Context | undefined },
) => {
  const { minutes = 5, context, ...style } = choice
  return messageText({ ...PLAIN, ...style, code, ttlMs: minutes * 60_000, ...(context && { context }) })
}

describe.each(rules)('$rule', ({ style, messages }) => {
  it.each(messages)('$locale: $text', ({ text, encoding, units, segments, context, ...choice }) => {
    const written = textOf({ ...style, ...choice, context: context && contextOf(context) })
    expect(written).toBe(text)
    expect(segmentsOf(written)).toEqual({ encoding, units, segments })
  })
})

it('the languages are those that are promised', () => {
  const promised = ['en', 'es', 'fr', 'de', 'pt', 'it', 'nl', 'pl', 'ja', 'zh', 'hi', 'ar']
  expect(LOCALES).toEqual(expect.arrayContaining(promised))
})

const BRANDS = ['Acme', "Joe's Pizza & Co.", '4 U', '5 @evil.example #99', 'W'.repeat(NAME_LONGEST)]
const LAST_LINES = [
  { domain: undefined, appHash: undefined },
  { domain: DOMAIN, appHash: undefined },
  { domain: undefined, appHash: HASH },
  { domain: DOMAIN, appHash: HASH },
]
const CONTEXTS = [undefined, PAYMENT, LONGEST_CONTEXT]

describe.each(LOCALES)('in %s', (locale) => {
  const wide = { ...PLAIN, brand: 'W'.repeat(NAME_LONGEST), locale, minutes: HARD_LIMITS.codeTtlMs / 60_000 }
  const every = BRANDS.flatMap((brand) =>
    LAST_LINES.flatMap((lastLine) =>
      CONTEXTS.map((context) => ({
        brand,
        ...lastLine,
        context,
        text: textOf({ brand, ...lastLine, locale, context }),
      })),
    ),
  )

  it('the longest brand and life are one segment, with minutes and secrecy', () => {
    const text = textOf(wide)
    const bare = textOf({ ...PLAIN, locale, minutes: 10 })
    expect(segmentsOf(text)).toMatchObject({
      segments: 1,
      encoding: UCS_2.includes(locale) ? 'ucs2' : 'gsm7',
    })
    expect(text.replace(wide.brand, 'Acme')).toBe(bare)
  })

  it('the longest payment is one segment in GSM-7 and two in UCS-2', () => {
    const { segments } = segmentsOf(textOf({ ...wide, context: LONGEST_CONTEXT }))
    expect(segments).toBe(UCS_2.includes(locale) ? 2 : 1)
  })

  it('a person reads the code once, unbroken, with the brand and all of the payment', () => {
    for (const { text, brand, context } of every) {
      const read = text.split('\n')[0] ?? ''
      expect(read.split('012345')).toHaveLength(2)
      expect(read).toMatch(/(^|[^0-9A-Za-z])012345($|[^0-9A-Za-z])/)
      expect(read).toContain(brand)
      if (context) {
        expect(read).toContain(`${context.amount} ${context.currency}`)
        expect(read).toContain(context.payee)
        expect(read.indexOf('012345')).toBeLessThan(read.indexOf(context.amount))
      }
    }
  })

  it('the minutes are named, and never more than the code lives', () => {
    for (const minutes of MINUTES) {
      const dual = locale === 'ar' && minutes === 2
      expect(textOf({ locale, minutes })).toMatch(dual ? /دقيقتين/ : new RegExp(`(^|[^0-9])${minutes}[^0-9]`))
    }
    const short = { ...PLAIN, code, locale }
    expect(messageText({ ...short, ttlMs: 299_999 })).toBe(textOf({ locale, minutes: 4 }))
    expect(messageText({ ...short, ttlMs: 300_000 })).toBe(textOf({ locale, minutes: 5 }))
    expect(messageText({ ...short, ttlMs: 300_001 })).toBe(textOf({ locale, minutes: 5 }))
  })

  it('nothing is doubled, left hanging, or written with other digits or invisible characters', () => {
    for (const { text } of every) {
      expect(text).toBe(text.trim())
      expect(text).not.toMatch(/ {2}| \n|\n\n|\.\.|undefined|[^\S\n ]/)
      expect(text.replace(/[0-9]/g, '')).not.toMatch(/\p{Nd}/u)
      expect(text).not.toMatch(/\p{Cf}/u)
      expect(text).toBe(text.normalize('NFC'))
    }
  })

  it('a browser finds the code for the domain and no other, whatever the names say', () => {
    for (const { text, domain } of every) {
      expect(parseOriginBoundCode(text)).toEqual(
        domain === undefined ? undefined : { host: domain, embeddedHost: null, code: '012345' },
      )
    }
    const context = contextOf({ amount: '1', currency: 'EUR', payee: '5 @evil.example #999999' })
    expect(parseOriginBoundCode(textOf({ locale, context }))).toBeUndefined()
  })

  it('an app finds its hash at the end of at most 140 bytes, or the message has none', () => {
    for (const { text, appHash } of every) {
      const { encoding, units } = segmentsOf(text)
      expect(text.endsWith(HASH)).toBe(text.includes(HASH))
      if (appHash === undefined) expect(text).not.toContain(HASH)
      if (text.includes(HASH)) {
        expect(text).toMatch(/(\n| #012345 )FA\+9qCX9VSu$/)
        expect(units * (encoding === 'ucs2' ? 2 : 1)).toBeLessThanOrEqual(140)
      }
    }
    expect(textOf({ locale, appHash: HASH })).toContain(HASH)
    expect(textOf({ locale, appHash: HASH, domain: DOMAIN })).toContain(HASH)
  })

  it('the segments are known before the code is', () => {
    for (const style of LAST_LINES.map((lastLine) => ({ ...PLAIN, ...lastLine, ttlMs: 300_000 }))) {
      const count = countSegments(style)
      for (const context of CONTEXTS) {
        expect(count(locale, context)).toBe(segmentsOf(textOf({ ...style, locale, context })).segments)
      }
    }
  })
})

it('in Arabic the letters around the code are Arabic, and the first one is', () => {
  const texts = ['Acme', '4 U', 'W'.repeat(NAME_LONGEST)].flatMap((brand) =>
    CONTEXTS.map((context) => textOf({ locale: 'ar', brand, context })),
  )
  for (const text of texts) {
    const [before = '', after = ''] = text.split('012345')
    const arabic = /\p{Script=Arabic}/u
    expect([...text.matchAll(/\p{L}/gu)][0]?.[0]).toMatch(arabic)
    expect(before).toMatch(/\p{Script=Arabic} $/u)
    expect(after.match(/[\p{L}\p{Nd}]/u)?.[0] ?? 'ا').toMatch(arabic)
  }
})

describe('a configuration', () => {
  const style = { ...PLAIN, brand: 'W'.repeat(NAME_LONGEST), ttlMs: HARD_LIMITS.codeTtlMs }
  const namesOf = (options: Partial<MessageStyle>) =>
    misfits({ ...style, ...options }).map(({ locale, payment }) => (payment ? `${locale} payment` : locale))

  it('with the longest brand fits, alone and with an app hash, a short domain, or both', () => {
    expect(namesOf({})).toEqual([])
    expect(namesOf({ appHash: HASH })).toEqual([])
    expect(namesOf({ domain: DOMAIN })).toEqual([])
    expect(namesOf({ domain: DOMAIN, appHash: HASH })).toEqual([])
  })

  it('with a domain that makes a text too long is found, by locale, length and limit', () => {
    const domain = `${'d'.repeat(13)}.example`
    const tooLong = { payment: false, limit: 1, wanted: 'ucs2' }
    const sizeOf = (units: number) => ({ encoding: 'ucs2', units, segments: 2 })
    expect(misfits({ ...style, domain })).toEqual([
      { ...tooLong, locale: 'ja', size: sizeOf(77) },
      { ...tooLong, locale: 'zh', size: sizeOf(76) },
      { ...tooLong, locale: 'zh-Hant', size: sizeOf(76) },
      { ...tooLong, locale: 'hi', size: sizeOf(73) },
      { ...tooLong, locale: 'ar', size: sizeOf(76) },
    ])
    expect(namesOf({ domain, brand: 'Acme' })).toEqual([])
    expect(namesOf({ domain, segmentsMax: 2 })).toEqual([])
  })

  it('is found when a text that should be GSM-7 is not', () => {
    expect(namesOf({ brand: 'Caf\u00e9' })).toEqual([])
    expect(namesOf({ brand: 'Za\u017c\u00f3\u0142\u0107' })).toEqual(
      LOCALES.filter((locale) => !UCS_2.includes(locale)).flatMap((locale) => [locale, `${locale} payment`]),
    )
  })

  it('is found when even three segments do not hold a payment', () => {
    const payments = namesOf({ domain: `${`${'d'.repeat(63)}.`.repeat(3)}example`, segmentsMax: 3 })
    expect(payments).toEqual(['ja', 'zh', 'zh-Hant', 'hi', 'ar'].flatMap((l) => [l, `${l} payment`]))
  })
})

it.each([
  ['en', 'en'],
  ['EN', 'en'],
  ['fr-CA', 'fr'],
  ['de-Latn-DE', 'de'],
  ['pt-BR', 'pt'],
  ['PT', 'pt'],
  ['zh', 'zh'],
  ['zh-CN', 'zh'],
  ['zh-Hans', 'zh'],
  ['zh-Hans-HK', 'zh'],
  ['zh-SG', 'zh'],
  ['zh-Hant', 'zh-Hant'],
  ['ZH-HANT', 'zh-Hant'],
  ['zh-hant-CN', 'zh-Hant'],
  ['zh-TW', 'zh-Hant'],
  ['zh-hk', 'zh-Hant'],
  ['zh-MO', 'zh-Hant'],
  ['zh-Hantx', 'zh'],
  ['zh_TW', undefined],
  ['sv-SE', undefined],
  ['english', undefined],
  ['en_US', undefined],
  ['en-', undefined],
  ['', undefined],
  ['__proto__', undefined],
])('the language tag %j is written in %s', (tag, expected) => {
  expect(parseLocale(tag)).toBe(expected)
})
