/** The digits a person types: how they fall and how what was typed is read. */
import { describe, expect, it } from 'vitest'
import { generateCode, parseCode } from '#verification/code.ts'
import { CODE_DIGITS } from '#verification/policy.ts'

const DRAWN = 200_000
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

it.each([
  ['012345', '012345'],
  [' 012345 ', '012345'],
  ['\t012345\n', '012345'],
  ['012 345', '012345'],
  ['012-345', '012345'],
  ['0-1-2-3-4-5', '012345'],
  ['0 1 2 3 4 5', '012345'],
  ['012  345', undefined],
  ['012--345', undefined],
  ['-012345', undefined],
  ['012345-', undefined],
  ['+12345', undefined],
  ['12345', undefined],
  ['1234567', undefined],
  ['12345a', undefined],
  ['1e5000', undefined],
  ['0x1234', undefined],
  ['1234.5', undefined],
  ['\uff11\uff12\uff13\uff14\uff15\uff16', undefined],
  ['\u0661\u0662\u0663\u0664\u0665\u0666', undefined],
  ['012\u00a0345', undefined],
  ['012\n345', undefined],
  ['', undefined],
  [' ', undefined],
])('%j typed is read as %s', (typed, expected) => {
  expect(parseCode(typed)).toBe(expected)
})
