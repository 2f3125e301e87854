/** The digits a person types: how they fall and how what was typed is read. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { generateCode, parseCode } from '#verification/code.ts'
import { CODE_DIGITS } from '#verification/policy.ts'

const DRAWN = 1_000_000
const BINS = 1_000
/** Chi-square with 999 degrees of freedom stays between these in all but one of a million fair runs. */
const FAIR = { least: 800, most: 1_250 }

function chiSquare(codes: readonly string[], binOf: (code: string) => number): number {
  const counts = new Array<number>(BINS).fill(0)
  for (const code of codes) counts[binOf(code)] = (counts[binOf(code)] ?? 0) + 1
  const expected = codes.length / BINS
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

describe('codes drawn', () => {
  const codes = Array.from({ length: DRAWN }, generateCode)

  it('are six digits each, leading zeros kept', () => {
    expect(CODE_DIGITS).toBe(6)
    expect(codes.filter((code) => !/^[0-9]{6}$/.test(code))).toEqual([])
    expect(codes.some((code) => code.startsWith('00'))).toBe(true)
  })

  it.each([
    ['first', (code: string) => Number(code.slice(0, 3))],
    ['last', (code: string) => Number(code.slice(3))],
    ['outer', (code: string) => Number(`${code.slice(0, 1)}${code.slice(-2)}`)],
  ])('fall evenly by their %s three digits', (_, binOf) => {
    const found = chiSquare(codes, binOf)
    expect(found).toBeGreaterThan(FAIR.least)
    expect(found).toBeLessThan(FAIR.most)
  })
})

it('codes that never begin with zero are seen to be uneven', () => {
  const biased = Array.from({ length: DRAWN }, (_, index) => String(100_000 + ((index * 7_919) % 900_000)))
  expect(chiSquare(biased, (code) => Number(code.slice(0, 3)))).toBeGreaterThan(FAIR.most)
})

type Vectors = { expected: string | null; typed: string[] }

const FOLDER = new URL('../vectors/codes/', import.meta.url)
const rules = readdirSync(FOLDER).map((file) => ({
  rule: file.replace('.json', '').replaceAll('-', ' '),
  vectors: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Vectors,
}))

describe.each(rules)('$rule', ({ vectors }) => {
  it.each(vectors.typed)('%j', (typed) => {
    expect(parseCode(typed)).toBe(vectors.expected ?? undefined)
  })
})

it('every decimal digit there is has a value from 0 to 9, each as often as the others', () => {
  const values = new Map<string, number>()
  for (let point = 0; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue
    const character = String.fromCodePoint(point)
    if (!/\p{Nd}/u.test(character)) continue
    const code = parseCode(character.repeat(6))
    expect(code).toMatch(/^([0-9])\1{5}$/)
    values.set(code?.charAt(0) ?? '', (values.get(code?.charAt(0) ?? '') ?? 0) + 1)
  }
  expect(values.size).toBe(10)
  expect(new Set(values.values()).size).toBe(1)
})
