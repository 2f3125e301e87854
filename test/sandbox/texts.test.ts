import { describe, expect, it } from 'vitest'
import { segmentsOf } from '#sandbox/segments.ts'
import { codeIn } from '#sandbox/view.ts'

describe('the code in a text', () => {
  it.each([
    ['Your code is 482913.', '482913'],
    ['1234 is your code', '1234'],
    ['Code: 1234567890', '1234567890'],
    ['Code: 12345678901', ''],
    ['Code 123', ''],
    ['Call +12025550100', ''],
    ['Say 4, 8, 2, 9, 1, 3. Goodbye', '482913'],
    ['Say 4 8 2 9', '4829'],
    ['', ''],
  ])('%j is %j', (text, code) => {
    expect(codeIn(text)).toBe(code)
  })
})

describe('the segments of a text', () => {
  it.each([
    { what: 'no character', text: '', segments: 1 },
    { what: '160 plain characters', text: 'a'.repeat(160), segments: 1 },
    { what: '161 plain characters', text: 'a'.repeat(161), segments: 2 },
    { what: '307 plain characters', text: 'a'.repeat(307), segments: 3 },
    { what: '80 euro signs', text: '€'.repeat(80), segments: 1 },
    { what: '81 euro signs', text: '€'.repeat(81), segments: 2 },
    { what: '70 Cyrillic characters', text: 'я'.repeat(70), segments: 1 },
    { what: '71 Cyrillic characters', text: 'я'.repeat(71), segments: 2 },
  ])('$what take $segments', ({ text, segments }) => {
    expect(segmentsOf(text)).toBe(segments)
  })
})
