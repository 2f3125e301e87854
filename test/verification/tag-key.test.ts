/** The tag key as it is sealed for Redis: the form every version must read, bound to its use and to its key's name. */
import { createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { createTagKeySeals, newTagKey } from '#verification/tag-key.ts'

const key = { id: 'k1', secret: randomBytes(32) }
const secret = newTagKey()
const sealed = createTagKeySeals([key]).seal(secret)

it('is 32 random bytes', () => {
  expect(new Set(Array.from({ length: 1_000 }, () => newTagKey().toString('hex'))).size).toBe(1_000)
  expect(secret).toHaveLength(32)
})

it('is sealed by AES-256-GCM under a key of its own, bound to its use and to the name of that key', () => {
  const [name, text = ''] = sealed.split('.')
  expect(name).toBe('k1')
  const bytes = Buffer.from(text, 'base64url')
  const own = Buffer.from(hkdfSync('sha256', key.secret, '', 'sms-two-factor-auth tag-key-seal', 32))
  const decipher = createDecipheriv('aes-256-gcm', own, bytes.subarray(0, 12), { authTagLength: 16 })
  decipher.setAAD(Buffer.from('tag-key\0k1')).setAuthTag(bytes.subarray(-16))
  expect(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])).toEqual(secret)
})

it('opens under any listed key, and says whether it was the first', () => {
  const newer = { id: 'k2', secret: randomBytes(32) }
  expect(createTagKeySeals([key, newer]).open(sealed)).toEqual({ kind: 'opened', secret, newest: true })
  expect(createTagKeySeals([newer, key]).open(sealed)).toEqual({ kind: 'opened', secret, newest: false })
})

it('opens under no other name of the same key', () => {
  const renamed = createTagKeySeals([{ ...key, id: 'k2' }])
  expect(renamed.open(sealed)).toEqual({ kind: 'locked', why: 'no_key k1' })
  expect(renamed.open(sealed.replace('k1.', 'k2.'))).toEqual({ kind: 'locked', why: 'wrong_key k2' })
})

it('opens no more once any one of its characters is changed, or it is cut short', () => {
  const seals = createTagKeySeals([key])
  for (let at = 3; at < sealed.length; at++) {
    const other = sealed[at] === 'A' ? 'B' : 'A'
    const changed = `${sealed.slice(0, at)}${other}${sealed.slice(at + 1)}`
    expect(seals.open(changed), String(at)).toEqual({ kind: 'locked', why: 'wrong_key k1' })
    expect(seals.open(sealed.slice(0, at)), String(at)).toEqual({ kind: 'locked', why: 'wrong_key k1' })
  }
})

it.each(['', '.', 'k1', 'K1.x', 'k1234.x', '+12025550123.x', '"k1".x'])(
  'is not what %j is, which is not repeated',
  (text) => {
    expect(createTagKeySeals([key]).open(text)).toEqual({ kind: 'locked', why: 'unreadable' })
  },
)
