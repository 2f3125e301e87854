/** Incoming messages: every vector file is a rule, its name says which, and each text in it is a case. */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readKeyword } from '#verification/keyword.ts'

type Vectors = { expected: string; texts: string[] }

const FOLDER = new URL('../vectors/keywords/', import.meta.url)

const rules = readdirSync(FOLDER).map((file) => ({
  rule: file.replace('.json', '').replaceAll('-', ' '),
  vectors: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Vectors,
}))

describe.each(rules)('$rule', ({ vectors }) => {
  it.each(vectors.texts)('%j', (text) => {
    expect(readKeyword(text)).toBe(vectors.expected)
  })
})

describe('a text of any length', () => {
  const padded = (length: number) => `${'\n'.repeat(length - 4)}stop`

  it.each([
    [319, 'stop'],
    [320, 'stop'],
    [321, 'none'],
  ])('of %i characters that ends in a keyword is %s', (length, expected) => {
    expect(padded(length)).toHaveLength(length)
    expect(readKeyword(padded(length))).toBe(expected)
  })

  it('that begins with a keyword is read however long it is', () => {
    expect(readKeyword(`STOP. ${'and so on '.repeat(10_000)}`)).toBe('stop')
  })

  it('and of any characters is read without a fault', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        expect(['stop', 'start', 'help', 'none']).toContain(readKeyword(text))
      }),
      { numRuns: 2_000 },
    )
  })
})
