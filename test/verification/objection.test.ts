/** What the settings have against a send, asked of a number that was fine when it was started. */
import { describe, expect, it } from 'vitest'
import { destinationOf } from '#test/fixtures/store.ts'
import type { Region } from '#verification/destination.ts'
import type { Lists } from '#verification/lists.ts'
import { parseTestNumber } from '#verification/lists.ts'
import { createObjectionTo } from '#verification/objection.ts'

const number = destinationOf('+12025550123')
const test = parseTestNumber('+12025550123:123456')
const NO_LISTS: Lists = { allowed: [], denied: [], tests: [] }

function objectionUnder(lists: Partial<Lists>, regions: Region[] = ['US']) {
  return createObjectionTo({ lists: { ...NO_LISTS, ...lists }, regions: new Set(regions) })(number, 'sms')
}

describe('against a number', () => {
  it.each<[string, Lists | object, Region[], string | undefined]>([
    ['on no list, where codes go', {}, ['US'], undefined],
    ['that is allowed', { allowed: ['+1202*'] }, ['US'], undefined],
    ['that is denied', { denied: ['+1202*'] }, ['US'], 'number_denied'],
    ['that is allowed and denied', { allowed: ['+1202*'], denied: ['+1*'] }, ['US'], 'number_denied'],
    ['of a region codes do not go to', {}, ['CA'], 'region_not_allowed'],
    ['that is allowed, of such a region', { allowed: ['+1202*'] }, ['CA'], 'region_not_allowed'],
    ['for tests, whatever else is said', { denied: ['+1*'], tests: [test] }, ['CA'], 'test_number'],
  ])('%s', (_, lists, regions, objection) => {
    expect(objectionUnder(lists, regions)).toBe(objection)
  })

  it('that is a landline, there is one to a message and none to a call', () => {
    const objectionTo = createObjectionTo({ lists: NO_LISTS, regions: new Set(['DE']) })
    const landline = '+493012345678' as typeof number
    expect(objectionTo(landline, 'sms')).toBe('landline_number')
    expect(objectionTo(landline, 'call')).toBeUndefined()
  })
})
