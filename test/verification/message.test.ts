/** The text of the SMS: one GSM-7 segment whatever the configuration admits, and always with the code in it. */
import { describe, expect, it } from 'vitest'
import { parseCode } from '#verification/code.ts'
import { BRAND_LONGEST, isBrand, LOCALES, messageText, parseLocale } from '#verification/message.ts'
import { HARD_LIMITS } from '#verification/policy.ts'

/** 3GPP TS 23.038 §6.2.1: the default alphabet, one septet a character, and its extension, two. */
const BASIC =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?' +
  '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà'
const EXTENDED = '\f^{}\\[~]|€'
const SEGMENT_SEPTETS = 160

/** Infinity for a text that GSM-7 cannot carry. */
function septets(text: string): number {
  return [...text].reduce(
    (sum, sign) => sum + (BASIC.includes(sign) ? 1 : EXTENDED.includes(sign) ? 2 : Number.POSITIVE_INFINITY),
    0,
  )
}

const code = parseCode('012345')
if (!code) throw new Error('012345 is no code')
const longest = { code, brand: 'W'.repeat(BRAND_LONGEST), ttlMs: HARD_LIMITS.codeTtlMs }

describe.each(LOCALES)('the message in %s', (locale) => {
  const text = messageText({ ...longest, locale })

  it('is one GSM-7 segment with the longest brand and the longest life', () => {
    expect(septets(text)).toBeLessThanOrEqual(SEGMENT_SEPTETS)
  })

  it('holds the code once, unbroken, with the brand and the minutes', () => {
    expect(text.split('012345')).toHaveLength(2)
    expect(text).toMatch(/(^|[^0-9])012345($|[^0-9])/)
    expect(text).toContain(longest.brand)
    expect(text).toMatch(/\b10\b/)
  })

  it('never promises more minutes than the code lives', () => {
    expect(messageText({ ...longest, locale, ttlMs: 299_999 })).toMatch(/\b4\b/)
    expect(messageText({ ...longest, locale, ttlMs: 300_000 })).toMatch(/\b5\b/)
    expect(messageText({ ...longest, locale, ttlMs: 300_001 })).toMatch(/\b5\b/)
  })
})

it('the alphabet of this test is all of GSM-7 and nothing twice', () => {
  expect(new Set(BASIC).size).toBe(127)
  expect(septets('ç')).toBe(Number.POSITIVE_INFINITY)
  expect(septets('€')).toBe(2)
})

it('every character a brand may have costs one septet', () => {
  const admitted = Array.from({ length: 0x1_0000 }, (_, unit) => String.fromCharCode(unit)).filter(isBrand)
  expect(admitted.length).toBeGreaterThan(60)
  expect(admitted.filter((sign) => septets(sign) !== 1)).toEqual([])
})

it.each([
  ['', false],
  ['A', true],
  ['A'.repeat(29), true],
  ['A'.repeat(30), true],
  ['A'.repeat(31), false],
  ['Müller', false],
  ['Acme {test}', false],
  ['Acme\n', false],
  ["Joe's Pizza & Co.", true],
])('the brand %j is admitted: %s', (brand, expected) => {
  expect(isBrand(brand)).toBe(expected)
})

it.each([
  ['en', 'en'],
  ['EN', 'en'],
  ['fr-CA', 'fr'],
  ['de-Latn-DE', 'de'],
  ['pt-BR', undefined],
  ['english', undefined],
  ['en_US', undefined],
  ['en-', undefined],
  ['', undefined],
  ['__proto__', undefined],
])('the language tag %j is written in %s', (tag, expected) => {
  expect(parseLocale(tag)).toBe(expected)
})
