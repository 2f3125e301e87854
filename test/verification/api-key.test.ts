/** API keys: what one looks like, what is kept of it, and how scopes are read. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  DEFAULT_SCOPES,
  digestOf,
  formatScopes,
  isApiKeyId,
  newApiKey,
  parseKeyHolder,
  parseScopes,
  type Scope,
} from '#verification/api-key.ts'

describe('a new API key', () => {
  it('is 256 bits behind a prefix that is known again, with an id that is no part of it', () => {
    const { id, key } = newApiKey()
    expect(key).toMatch(/^2fa_[A-Za-z0-9_-]{43}$/)
    expect(Buffer.from(key.slice(4), 'base64url')).toHaveLength(32)
    expect(isApiKeyId(id)).toBe(true)
    expect(key).not.toContain(id)
  })

  it('is another one each time, in every position', () => {
    const keys = Array.from({ length: 1_000 }, () => newApiKey())
    expect(new Set(keys.map(({ key }) => key)).size).toBe(1_000)
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1_000)
    for (let at = 4; at < 46; at++) expect(new Set(keys.map(({ key }) => key[at])).size).toBeGreaterThan(40)
  })

  it('is kept as its SHA-256', () => {
    const { key } = newApiKey()
    expect(digestOf(key)).toEqual(createHash('sha256').update(key).digest())
  })
})

describe('scopes', () => {
  it.each([
    ['send', ['send']],
    ['send+check', ['send', 'check']],
    ['check,send', ['send', 'check']],
    ['admin+read+check+send', ['send', 'check', 'read', 'admin']],
  ])('%j are %j, in one order', (text, scopes) => {
    expect(parseScopes(text)).toEqual(scopes)
    expect(parseScopes(formatScopes(parseScopes(text) ?? []))).toEqual(scopes)
  })

  it.each(['', 'Send', 'send+', '+send', 'send+send', 'send check', 'all', '*', 'send+chek', 'admin;read'])(
    '%j are none',
    (text) => {
      expect(parseScopes(text)).toBeUndefined()
    },
  )

  it('that nobody named are those that verifying takes, and never admin', () => {
    expect(DEFAULT_SCOPES).toEqual(['send', 'check', 'read'])
  })
})

it.each(['bcdfghjkmn', 'vtsrqpnmkj'])('%s is an id', (text) => expect(isApiKeyId(text)).toBe(true))
it.each(['', 'bcdfghjkm', 'bcdfghjkmnp', 'bcdfghjkmN', 'bcdfghjkm1', 'aeiouaeiou', '2fa_bcdfgh'])(
  '%j is no id',
  (text) => {
    expect(isApiKeyId(text)).toBe(false)
  },
)

it.each<[string, readonly Scope[], string | undefined]>([
  ['shop', ['send'], 'shop'],
  ['shop', ['admin'], 'shop'],
  ['form', ['admin'], 'form'],
  ['form', ['admin', 'read'], undefined],
  ['form', ['check'], undefined],
  ['Shop', ['send'], undefined],
  ['', ['send'], undefined],
])('a key of %j for %j is one of %s', (name, scopes, holder) => {
  expect(parseKeyHolder(name, scopes)).toBe(holder)
})
