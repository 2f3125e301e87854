/** What a text costs, by vectors whose file name is the rule, and against a slow reading of the same standard. */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Size, segmentsOf } from '#verification/segments.ts'

/** A text is spelled in runs: `[["a", 160]]` is 160 times a. */
type Case = Size & { text: [string, number][] }

const FOLDER = new URL('../vectors/segments/', import.meta.url)

const rules = readdirSync(FOLDER).map((file) => ({
  rule: file.replace('.json', '').replaceAll('-', ' '),
  cases: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Case[],
}))

describe.each(rules)('$rule', ({ cases }) => {
  it.each(cases)('$text', ({ text, ...size }) => {
    expect(segmentsOf(text.map(([run, times]) => run.repeat(times)).join(''))).toEqual(size)
  })
})

/** 3GPP TS 23.038 §6.2.1: the default alphabet, one septet a character, and its extension, two. */
const BASIC =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?' +
  '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà'
const EXTENDED = '\f^{}\\[~]|€'

/** The fewest parts that hold whole characters, by trying every end of the last one. */
function fewestParts(costs: readonly number[], room: number): number {
  const fewest = [0]
  for (let end = 1; end <= costs.length; end += 1) {
    let best = Number.POSITIVE_INFINITY
    let used = 0
    for (let start = end - 1; start >= 0; start -= 1) {
      used += costs[start] ?? 0
      if (used > room) break
      best = Math.min(best, (fewest[start] ?? 0) + 1)
    }
    fewest.push(best)
  }
  return Math.max(1, fewest.at(-1) ?? 0)
}

function slowly(text: string): Size {
  const signs = [...text]
  const gsm7 = signs.every((sign) => BASIC.includes(sign) || EXTENDED.includes(sign))
  const costs = signs.map((sign) => (gsm7 ? (EXTENDED.includes(sign) ? 2 : 1) : sign.length))
  const units = costs.reduce((sum, cost) => sum + cost, 0)
  const [single, room] = gsm7 ? [160, 153] : [70, 67]
  return {
    encoding: gsm7 ? 'gsm7' : 'ucs2',
    units,
    segments: units <= single ? 1 : fewestParts(costs, room),
  }
}

it('the alphabet of this test is all of GSM-7 and nothing twice', () => {
  expect(new Set(BASIC).size).toBe(127)
  expect(BASIC.length).toBe(127)
  expect(EXTENDED.length).toBe(10)
})

it('every single UTF-16 unit costs what the standard says', () => {
  const units = Array.from({ length: 0x1_0000 }, (_, unit) => String.fromCharCode(unit))
  expect(units.filter((unit) => segmentsOf(unit).encoding === 'gsm7').length).toBe(137)
  expect(units.filter((unit) => segmentsOf(unit).units !== slowly(unit).units)).toEqual([])
})

it.each([
  ['GSM-7', fc.constantFrom(...BASIC, ...EXTENDED)],
  ['GSM-7 that costs two', fc.constantFrom('a', ...EXTENDED)],
  ['UCS-2', fc.constantFrom('a', '字', 'है', '\u{1f511}', '\ud83d', 'ç')],
])('texts of %s take as many segments as the slow reading says', (_, sign) => {
  const texts = fc.array(sign, { maxLength: 500, size: 'max' }).map((signs) => signs.join(''))
  fc.assert(
    fc.property(texts, (text) => {
      expect(segmentsOf(text)).toEqual(slowly(text))
    }),
    { numRuns: 300 },
  )
})
