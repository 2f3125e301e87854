/** The key ring: whose a presented key is, from two sources at once, and when `/v1` is open, closed or not known yet. */
import { describe, expect, it } from 'vitest'
import { createKeyRing } from '#api/key-ring.ts'
import { newApiKey } from '#verification/api-key.ts'
import { apiKey } from './api.ts'

const held = (application: string) => {
  const { key } = newApiKey()
  return { key, entry: apiKey(application, key) }
}
const none = { keys: [], everMade: false }

describe('a key', () => {
  it('of either source is its holder’s, with its scopes', () => {
    const ring = createKeyRing({ production: true })
    const [one, other] = [held('shop'), newApiKey()]
    const stored = { ...apiKey('bank', other.key, ['check']), id: other.id }
    ring.setConfigured([one.entry])
    ring.setStored({ keys: [stored], everMade: true })
    expect(ring.find(one.key)).toEqual(one.entry)
    expect(ring.find(other.key)).toEqual(stored)
    expect(ring.applications()).toEqual(['shop', 'bank'])
  })

  it('that is gone from its source is gone from the ring, and the others stay', () => {
    const ring = createKeyRing({ production: true })
    const [one, other, third] = [held('shop'), held('shop'), held('bank')]
    ring.setConfigured([one.entry, other.entry])
    ring.setStored({ keys: [third.entry], everMade: true })
    ring.setConfigured([other.entry])
    ring.setStored({ keys: [], everMade: true })
    expect([one, other, third].map(({ key }) => ring.find(key)?.application)).toEqual([
      undefined,
      'shop',
      undefined,
    ])
    expect(ring.applications()).toEqual(['shop'])
  })

  it('is found among ten thousand, and a stranger is not', () => {
    const ring = createKeyRing({ production: true })
    const many = Array.from({ length: 10_000 }, () => held('shop'))
    ring.setConfigured(many.map(({ entry }) => entry))
    ring.setStored(none)
    for (const { key, entry } of many.slice(0, 100)) expect(ring.find(key)).toBe(entry)
    for (let tries = 0; tries < 100; tries++) expect(ring.find(newApiKey().key)).toBeUndefined()
  })

  it('whose digest only begins as a known one does is a stranger', () => {
    const ring = createKeyRing({ production: true })
    const { key, entry } = held('shop')
    const digest = Buffer.from(entry.digest, 'base64url')
    for (let at = 4; at < digest.length; at++) {
      const other = Buffer.from(digest)
      other.writeUInt8(other.readUInt8(at) ^ 1, at)
      ring.setConfigured([{ ...entry, digest: other.toString('base64url') }])
      expect(ring.find(key)).toBeUndefined()
    }
  })
})

describe('/v1', () => {
  it.each([
    ['outside production with no key anywhere is open', false, [], none, 'open'],
    ['outside production with a key of the environment is closed', false, ['shop'], none, 'closed'],
    [
      'outside production with a key in Redis is closed',
      false,
      [],
      { keys: ['shop'], everMade: true },
      'closed',
    ],
    [
      'outside production with a revoked key in Redis is closed',
      false,
      [],
      { keys: [], everMade: true },
      'closed',
    ],
    ['outside production before Redis was read is not known', false, [], undefined, 'unknown'],
    ['in production with no key anywhere is closed', true, [], none, 'closed'],
    ['in production before Redis was read is not known', true, [], undefined, 'unknown'],
  ] as const)('%s', (_, production, configured, stored, state) => {
    const ring = createKeyRing({ production })
    ring.setConfigured(configured.map((name) => held(name).entry))
    if (stored) ring.setStored({ ...stored, keys: stored.keys.map((name) => held(name).entry) })
    const is = ring.isOpen() ? 'open' : ring.isComplete() ? 'closed' : 'unknown'
    expect(is).toBe(state)
  })
})
