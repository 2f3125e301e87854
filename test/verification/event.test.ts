/** Events as they are told: what stands in each, the same id each time, and nothing that no script wrote. */
import { describe, expect, it } from 'vitest'
import { readEvent } from '#verification/event.ts'

const AT = '1764000000000'
const ID = '3f2a1b4c5d6e4f708a9b0c1d2e3f4a5b'
const subject = {
  application: 'shop',
  verification: ID,
  purpose: 'login',
  channel: 'sms',
  to: '+*******0143',
}
const verification = { ...subject, created: AT, expires: '1764000300000', sends: '2', reason: '' }
const send = { ...subject, send: '2', queued: AT, attempts: '3', submitted: '1', reason: '', message: '' }

const flat = (fields: Record<string, string>) => Object.entries(fields).flat()
const read = (type: string, fields: Record<string, string>, entry = '1764000000000-0') =>
  readEvent(entry, flat({ type, at: AT, ...fields }))

describe('an event', () => {
  it('about a verification says which, whose, where to and how it stands', () => {
    expect(read('verification.approved', verification)?.event).toEqual({
      type: 'verification.approved',
      timestamp: '2025-11-24T16:00:00.000Z',
      data: {
        ...subject,
        status: 'approved',
        sends: 2,
        created_at: '2025-11-24T16:00:00.000Z',
        expires_at: '2025-11-24T16:05:00.000Z',
      },
    })
  })

  it('about an approval says how many wrong codes came before it', () => {
    expect(read('verification.approved', { ...verification, wrong: '7' })?.event.data).toMatchObject({
      wrong_checks: 7,
    })
    expect(read('verification.expired', { ...verification, wrong: '' })?.event.data).not.toHaveProperty(
      'wrong_checks',
    )
  })

  it('about a disabled number says whose it was, and after how many wrong codes', () => {
    expect(read('number.disabled', { ...subject, wrong: '100' })?.event).toEqual({
      type: 'number.disabled',
      timestamp: '2025-11-24T16:00:00.000Z',
      data: { ...subject, wrong_checks: 100 },
    })
  })

  it('about a send says which, how often it was tried, and why when it went wrong', () => {
    const told = read('send.undelivered', { ...send, reason: 'handset off', message: 'm-1', submitted: '2' })
    expect(told?.event).toEqual({
      type: 'send.undelivered',
      timestamp: '2025-11-24T16:00:00.000Z',
      data: {
        ...subject,
        send: 2,
        status: 'undelivered',
        attempts: 3,
        possible_duplicate: true,
        queued_at: '2025-11-24T16:00:00.000Z',
        reason: 'handset off',
        provider_message_id: 'm-1',
      },
    })
  })

  it.each(['accepted', 'delivered'])('about a send that is %s gives no reason of an earlier try', (state) => {
    expect(read(`send.${state}`, { ...send, reason: 'timeout' })?.event.data).not.toHaveProperty('reason')
  })

  it.each([
    ['application', 'shop', { application: 'shop' }],
    ['region', 'US', { region: 'US' }],
    ['overall', 'all', {}],
  ])('about a limit of %s says whose', (scope, name, whose) => {
    const limit = { limit: `${scope}_day`, state: 'nearly', scope, name }
    expect(read('limit.reached', limit)?.event.data).toEqual({
      limit: `${scope}_day`,
      state: 'nearly',
      scope,
      ...whose,
    })
  })

  it('has one id for ever, and another than any other', () => {
    const told = read('verification.approved', verification)
    expect(told?.id).toMatch(/^evt_[0-9a-f]{32}$/)
    expect(read('verification.approved', verification)?.id).toBe(told?.id)
    expect(read('verification.approved', verification, '1764000000000-1')?.id).not.toBe(told?.id)
    expect(read('verification.approved', { ...verification, application: 'bank' })?.id).not.toBe(told?.id)
    expect(read('verification.expired', verification)?.id).not.toBe(told?.id)
  })

  it.each([
    ['an unknown type', 'verification.stolen', verification],
    ['no type', '', verification],
    ['no application', 'verification.approved', { ...verification, application: '' }],
    ['a strange id', 'verification.approved', { ...verification, verification: '../1' }],
    ['no time', 'verification.approved', { ...verification, at: 'soon' }],
    ['no end', 'verification.approved', { ...verification, expires: '' }],
    ['no time of its send', 'send.accepted', { ...send, queued: '' }],
    ['a strange scope', 'limit.reached', { limit: 'x', state: 'nearly', scope: 'ip', name: 'x' }],
    ['a strange state', 'limit.reached', { limit: 'x', state: 'far', scope: 'overall', name: 'all' }],
  ])('with %s is none', (_, type, fields) => {
    expect(read(type, fields)).toBeUndefined()
  })
})
