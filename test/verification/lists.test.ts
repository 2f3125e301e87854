/** What is said about single numbers goes before what the rules say. */
import { describe, expect, it } from 'vitest'
import { destinationOf } from '#test/fixtures/store.ts'
import { createListing, parseListed, parseTestNumber } from '#verification/lists.ts'

const number = destinationOf('+12025550123')
const test = parseTestNumber('+12025550123:123456')

describe('a number', () => {
  it.each([
    ['on no list', { allowed: [], denied: [] }, 'none'],
    ['allowed itself', { allowed: ['+12025550123'], denied: [] }, 'allowed'],
    ['allowed by a prefix', { allowed: ['+1202*'], denied: [] }, 'allowed'],
    ['denied itself', { allowed: [], denied: ['+12025550123'] }, 'denied'],
    ['denied by a prefix', { allowed: [], denied: ['+1*'] }, 'denied'],
    ['on both lists', { allowed: ['+12025550123'], denied: ['+1202*'] }, 'denied'],
    ['beside one that is listed', { allowed: ['+12025550124'], denied: ['+1202555012'] }, 'none'],
  ])('%s', (_, lists, kind) => {
    expect(createListing({ ...lists, tests: [] })(number).kind).toBe(kind)
  })

  it('for tests has its code, whatever else is said', () => {
    const listing = createListing({ allowed: [], denied: ['+1*'], tests: test ? [test] : [] })
    expect(listing(number)).toEqual({ kind: 'test', code: '123456' })
  })
})

it.each(['+12025550123', '+1876*', '+1*'])('%s may be listed', (text) => {
  expect(parseListed(text)).toBe(text)
})

it.each(['12025550123', '+*', '*', '+0202*', '+1 202*', '+1*8', '+1234567890123456'])(
  '%s may not be listed',
  (text) => {
    expect(parseListed(text)).toBeUndefined()
  },
)

it.each(['+15005550006', '+15005550006:12345', '+15005550006:1234567', '15005550006:123456', '+1:123456'])(
  '%s is no test number',
  (text) => {
    expect(parseTestNumber(text)).toBeUndefined()
  },
)
