/** What keeps codes and numbers out of Redis in clear: what opens where, under which key, and what a MAC depends on. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { codeOf, destinationOf, vaultOf } from '#test/fixtures/store.ts'
import { type Context, parseContext } from '#verification/context.ts'
import { openedDestination } from '#verification/destination.ts'
import type { MasterKey } from '#verification/sealing.ts'
import { createTags } from '#verification/tags.ts'
import type { CodeOwner } from '#verification/vault.ts'
import {
  type Application,
  DEFAULT_PURPOSE,
  newVerificationId,
  type Purpose,
} from '#verification/verification.ts'

const oldKey: MasterKey = { id: 'k1', secret: randomBytes(32) }
const newKey: MasterKey = { id: 'k2', secret: randomBytes(32) }
const vaultWith = (...codeKeys: MasterKey[]) => vaultOf(codeKeys)

const vault = vaultWith(oldKey)
const letter = { destination: destinationOf('+12025550143'), code: codeOf('012345') }
const owner: CodeOwner = {
  application: 'shop' as Application,
  id: newVerificationId(),
  destinationTag: vault.tagDestination(letter.destination),
  purpose: DEFAULT_PURPOSE,
}

function payment(amount = '1249.90'): Context {
  const context = parseContext({ amount, currency: 'EUR', payee: 'Corner Shop' })
  if (!context) throw new Error('No payment')
  return context
}

describe('a sealed letter', () => {
  it('opens for its own verification', () => {
    expect(vault.open(vault.seal(letter, owner), owner)).toEqual(letter)
  })

  it.each([
    ['another verification', { ...owner, id: newVerificationId() }],
    ['another application', { ...owner, application: 'shop2' as Application }],
  ])('does not open for %s', (_, stranger) => {
    expect(() => vault.open(vault.seal(letter, owner), stranger)).toThrow()
  })

  it('does not open once any one of its characters is changed', () => {
    const sealed = vault.seal(letter, owner)
    const spoiled = Array.from(sealed.slice(3), (sign, at) => {
      const other = sign === 'A' ? 'B' : 'A'
      return `${sealed.slice(0, 3 + at)}${other}${sealed.slice(4 + at)}`
    })
    // The last character carries bits that base64 throws away.
    for (const text of spoiled.slice(0, -1)) expect(() => vault.open(text, owner)).toThrow()
  })

  it('does not open when it is cut short', () => {
    const sealed = vault.seal(letter, owner)
    for (const length of [3, 10, sealed.length - 4]) {
      expect(() => vault.open(sealed.slice(0, length), owner)).toThrow()
    }
  })

  it.each([
    ['the shortest number', '+1234567', 'k'],
    ['an odd number of digits', '+12025550143', 'key1'],
    ['an even number of digits', '+442079460000', 'key1'],
    ['the longest number there is', '+123456789012345', 'key1'],
  ])('fits into 64 characters and opens: %s', (_, number, id) => {
    const long = vaultWith({ id, secret: randomBytes(32) })
    const written = { destination: openedDestination(number), code: codeOf('000000') }
    const sealed = long.seal(written, owner)
    expect(sealed.length).toBeLessThanOrEqual(64)
    expect(long.open(sealed, owner)).toEqual(written)
  })

  it('says nothing of number and code, and never looks the same twice', () => {
    const sealed = Array.from({ length: 10_000 }, () => vault.seal(letter, owner))
    const nonces = sealed.map((text) =>
      Buffer.from(text.slice(3), 'base64url').subarray(0, 12).toString('hex'),
    )
    expect(new Set(nonces).size).toBe(10_000)
    const plain = [letter.code, letter.destination.slice(1)]
    const inside = Buffer.from((sealed[0] ?? '').slice(3), 'base64url')
    for (const text of plain)
      expect(`${inside.toString('latin1')} ${inside.toString('hex')}`).not.toContain(text)
  })
})

describe('a sealed payment', () => {
  it('opens for its own verification, as it was spelled', () => {
    expect(vault.openContext(vault.sealContext(payment(), owner), owner)).toEqual(payment())
  })

  it('does not open for another verification, nor as a letter, nor a letter as a payment', () => {
    const sealed = vault.sealContext(payment(), owner)
    expect(() => vault.openContext(sealed, { ...owner, id: newVerificationId() })).toThrow()
    expect(() => vault.open(sealed, owner)).toThrow()
    expect(() => vault.openContext(vault.seal(letter, owner), owner)).toThrow()
  })

  it('of a key that is not here is undefined', () => {
    expect(vaultWith(newKey).openContext(vault.sealContext(payment(), owner), owner)).toBeUndefined()
  })

  it('has a tag of its own for each number, purpose and application, and one for both spellings', () => {
    const tags = [
      vault.tagContext(payment(), owner),
      vault.tagContext(payment('1249.91'), owner),
      vault.tagContext(payment(), { ...owner, purpose: 'login' as Purpose }),
      vault.tagContext(payment(), { ...owner, application: 'bank' as Application }),
      vault.tagContext(payment(), { ...owner, destinationTag: 'other' }),
    ]
    expect(new Set(tags).size).toBe(tags.length)
    expect(vault.tagContext(payment('1249.9'), owner)).toBe(tags[0])
  })
})

describe('keys that rotate', () => {
  const rotated = vaultWith(newKey, oldKey)

  it('the old key still opens, the new one seals', () => {
    expect(rotated.open(vault.seal(letter, owner), owner)).toEqual(letter)
    expect(rotated.seal(letter, owner)).toMatch(/^k2\./)
  })

  it('the old key still compares, newest first', () => {
    expect(rotated.macCodeUnderAllKeys(letter.code, owner)).toEqual([
      vaultWith(newKey).macCode(letter.code, owner),
      vault.macCode(letter.code, owner),
    ])
  })

  it('a letter of a key that is not here is undefined, not a fault', () => {
    expect(vaultWith(newKey).open(vault.seal(letter, owner), owner)).toBeUndefined()
  })

  it('another secret under the same name opens nothing', () => {
    const impostor = vaultWith({ id: 'k1', secret: randomBytes(32) })
    expect(() => impostor.open(vault.seal(letter, owner), owner)).toThrow()
  })

  it('no key at all is a fault at once', () => {
    expect(() => vaultWith()).toThrow(/at least one/)
  })

  it('rotating code keys keeps every number under its tag', () => {
    expect(rotated.tagDestination(letter.destination)).toBe(vault.tagDestination(letter.destination))
  })
})

describe('a MAC of a code', () => {
  const mac = vault.macCode(letter.code, owner)

  it('is the same for the same code of the same owner', () => {
    expect(vault.macCode(letter.code, { ...owner })).toBe(mac)
  })

  it.each<[string, CodeOwner]>([
    ['application', { ...owner, application: 'shop2' as Application }],
    ['verification', { ...owner, id: newVerificationId() }],
    ['number', { ...owner, destinationTag: vault.tagDestination(destinationOf('+12025550144')) }],
    ['purpose', { ...owner, purpose: 'login' as Purpose }],
    ['payment', { ...owner, context: payment() }],
  ])('differs by %s', (_, other) => {
    expect(vault.macCode(letter.code, other)).not.toBe(mac)
  })

  it('differs by code and by key', () => {
    expect(vault.macCode(codeOf('012346'), owner)).not.toBe(mac)
    expect(vaultWith({ ...oldKey, secret: randomBytes(32) }).macCode(letter.code, owner)).not.toBe(mac)
  })
})

it('a tag hides its number, and another key gives another tag', () => {
  const tag = vault.tagDestination(letter.destination)
  expect(tag).toMatch(/^[\w-]{22}$/)
  expect(tag).not.toBe(vault.tagDestination(destinationOf('+12025550144')))
  const other = vaultOf([oldKey], createTags(randomBytes(32)))
  expect(other.tagDestination(letter.destination)).not.toBe(tag)
})

it('a fingerprint keeps its parts apart', () => {
  expect(vault.fingerprint(['ab', 'c'])).not.toBe(vault.fingerprint(['a', 'bc']))
  expect(vault.fingerprint(['ab', 'c'])).toBe(vault.fingerprint(['ab', 'c']))
})
