/** What a keyword is answered with: one segment, whose it is, and no word that would be answered in turn. */
import { describe, expect, it } from 'vitest'
import { readKeyword } from '#verification/keyword.ts'
import { NAME_LONGEST } from '#verification/plain-name.ts'
import { CONTACT_LONGEST, isContact, replyText } from '#verification/reply.ts'

const longest = { brand: 'W'.repeat(NAME_LONGEST), contact: 'w'.repeat(CONTACT_LONGEST) }

describe.each(['stop', 'start', 'help'] as const)('the answer to %s', (keyword) => {
  it('is one GSM-7 segment with the longest brand and contact', () => {
    const text = replyText(keyword, longest)
    expect(text.length).toBeLessThanOrEqual(160)
    // Of ASCII only these are two septets, or none at all.
    expect(text).toMatch(/^[ -~]+$/)
    expect(text).not.toMatch(/[\^{}\\[~\]|`]/)
  })

  it('says whose it is', () => {
    expect(replyText(keyword, longest)).toContain(longest.brand)
  })

  it('is itself no keyword', () => {
    for (const brand of ['Example', 'verification', 'Stop & Shop', 'Help', 'STOP', 'End'])
      expect(readKeyword(replyText(keyword, { brand, contact: 'help@example.com' }))).toBe('none')
  })
})

it('the answer to help says where help is, and how to stop', () => {
  expect(replyText('help', { brand: 'Example', contact: 'example.com/help' })).toBe(
    'Example codes are sent when asked for. Reply STOP to opt out. Contact: example.com/help',
  )
  expect(replyText('help', { brand: 'Example', contact: '' })).toBe(
    'Example codes are sent when asked for. Reply STOP to opt out.',
  )
})

it('the answer to stop says how to come back', () => {
  expect(replyText('stop', { brand: 'Example', contact: '' })).toContain('Reply START')
})

it.each([
  ['', false],
  ['a', true],
  ['w'.repeat(59), true],
  ['w'.repeat(60), true],
  ['w'.repeat(61), false],
  ['help@example.com', true],
  ['https://example.com/help?from=sms', true],
  ['+1 202 555 0199', true],
  ['example.com/~help', false],
  ['h\u00e9lp@example.com', false],
  ['a\nb', false],
])('the contact %j is admitted: %s', (contact, expected) => {
  expect(isContact(contact)).toBe(expected)
})
