/**
 * The one way something is sealed, derived and authenticated with a key that was configured: AES-256-GCM under a fresh
 * nonce and bound to its use, HKDF-SHA-256, HMAC-SHA-256. What is sealed begins with the name of its key, so that keys
 * rotate with an overlap: the first key makes, every key reads.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'

/** A 256-bit key as configured. `id` is one to four characters of a-z and 0-9: it is stored with all it made. */
export type MasterKey = { id: string; secret: Buffer }

/** A key derived for sealing one kind of thing. */
export type SealKey = { id: string; seal: KeyObject }

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** One key for one use: what was made with it says nothing about the others. */
export function derive(secret: Buffer, use: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `sms-two-factor-auth ${use}`, 32)))
}

/** Parts never contain NUL, so joining by it cannot make two lists look alike. */
export function mac(key: KeyObject, parts: readonly string[]): Buffer {
  return createHmac('sha256', key).update(parts.join('\0')).digest()
}

/** The key that makes. */
export function newestOf<T>(keys: readonly T[]): T {
  const [newest] = keys
  if (!newest) throw new Error('There must be at least one key')
  return newest
}

/** @param aad what it is, and whose: it opens as nothing else */
export function seal(key: SealKey, text: Buffer, aad: Buffer): string {
  const nonce = freshNonce()
  const cipher = createCipheriv(CIPHER, key.seal, nonce).setAAD(aad)
  const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
  return `${key.id}.${sealed.toString('base64url')}`
}

/** The name of the key that something was sealed with. */
export const sealerOf = (sealed: string): string => sealed.slice(0, Math.max(0, sealed.indexOf('.')))

/** `undefined` when it was sealed with none of these keys; throws when it was changed, or is something else. */
export function openAny(keys: readonly SealKey[], sealed: string, aad: Buffer): Buffer | undefined {
  const id = sealerOf(sealed)
  const key = keys.find((candidate) => candidate.id === id)
  return key && openWith(key, sealed.slice(id.length + 1), aad)
}

function openWith(key: SealKey, text: string, aad: Buffer): Buffer {
  const sealed = Buffer.from(text, 'base64url')
  const decipher = createDecipheriv(CIPHER, key.seal, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(aad).setAuthTag(sealed.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
}

/** Random bytes fetched for many nonces at once: asking the system for twelve costs as much as for thousands. */
const pool = Buffer.alloc(NONCE_BYTES * 512)
let used = pool.length

function freshNonce(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += NONCE_BYTES
  return Buffer.from(pool.subarray(used - NONCE_BYTES, used))
}
