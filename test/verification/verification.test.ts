/** The parsers of ids, names and references: what they take is safe inside a Redis key, everything else is nothing. */
import { describe, expect, it } from 'vitest'
import {
  formatReference,
  newVerificationId,
  parseApplication,
  parsePurpose,
  parseReference,
  parseVerificationId,
} from '#verification/verification.ts'

const ID = '3f2a1b4c5d6e4f708a9b0c1d2e3f4a5b'

it('ids made are read back and never the same', () => {
  const ids = Array.from({ length: 1_000 }, newVerificationId)
  expect(new Set(ids).size).toBe(1_000)
  expect(ids.filter((id) => parseVerificationId(id) !== id)).toEqual([])
})

it.each([
  ID.toUpperCase(),
  '3f2a1b4c-5d6e-4f70-8a9b-0c1d2e3f4a5b',
  ID.slice(1),
  `${ID}0`,
  ` ${ID}`,
  `${ID}\n`,
  `{${ID}}`,
  ID.replace('a', 'g'),
  '..',
  '',
])('%j is no id', (text) => {
  expect(parseVerificationId(text)).toBeUndefined()
})

describe.each([
  ['application', parseApplication],
  ['purpose', parsePurpose],
])('a name of an %s', (_, parse) => {
  it.each(['a', '0', 'login', 'a-b_c', 'a'.repeat(31), 'a'.repeat(32)])('may be %j', (text) => {
    expect(parse(text)).toBe(text)
  })

  it.each(['', 'a'.repeat(33), 'Shop', '-a', '_a', 'a b', 'a:b', 'a/b', 'a{b}', 'a\n', 'ä', 'a\u0000'])(
    'may not be %j',
    (text) => {
      expect(parse(text)).toBeUndefined()
    },
  )
})

describe('a reference', () => {
  const application = parseApplication('shop')
  const verification = parseVerificationId(ID)
  if (!application || !verification) throw new Error('the example is wrong')

  it.each([1, 9, 10, 99])('to send %i is read back', (send) => {
    const reference = { application, verification, send }
    expect(parseReference(formatReference(reference))).toEqual(reference)
  })

  it.each([
    `shop/${ID}/0`,
    `shop/${ID}/100`,
    `shop/${ID}/01`,
    `shop/${ID}/1.5`,
    `shop/${ID}/-1`,
    `shop/${ID}/`,
    `shop/${ID}`,
    `Shop/${ID}/1`,
    'shop/no-id/1',
    `/${ID}/1`,
    '',
  ])('is not %j', (text) => {
    expect(parseReference(text)).toBeUndefined()
  })
})
