/**
 * What keeps codes and numbers out of Redis in clear: a keyed MAC to compare codes by, sealed copies for the worker,
 * and a keyed tag to count numbers by. Keys come from outside Redis and carry an id, so that they rotate with an
 * overlap: the first key makes, every key reads.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import type { Code } from './code.ts'
import { type Destination, openedDestination } from './destination.ts'
import type { Application, Purpose, VerificationId } from './verification.ts'

/** A 256-bit key as configured. `id` is one to four characters of a-z and 0-9: it is stored with all it made. */
export type MasterKey = { id: string; secret: Buffer }

type Key = { id: string; mac: KeyObject; seal: KeyObject }

export type CodeOwner = {
  application: Application
  id: VerificationId
  destinationTag: string
  purpose: Purpose
}

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** 128 bits: no two numbers of the world's share a tag, and three keys a number stay short. */
const DESTINATION_TAG_BYTES = 16

export type Vault = ReturnType<typeof createVault>

/**
 * @param codeKeys at least one; the first makes MACs and seals, all of them read
 * @param destinationKey counts numbers; changing it forgets every budget
 */
export function createVault(options: { codeKeys: readonly MasterKey[]; destinationKey: Buffer }) {
  const keys = options.codeKeys.map(deriveKey)
  const current = newestOf(keys)
  const tagKey = derive(options.destinationKey, 'destination-tag')

  /** Sealed values say which key opens them; AES-256-GCM with a random nonce, bound to `context`. */
  function seal(text: string, context: string): string {
    return sealWith(current, text, context)
  }

  function open(sealed: string, context: string): string {
    const dot = sealed.indexOf('.')
    const key = keys.find((candidate) => candidate.id === sealed.slice(0, dot))
    if (!key) throw new Error('Sealed with a key that is no longer configured')
    return openWith(key, sealed.slice(dot + 1), context)
  }

  return {
    /** The name a number is counted under; says nothing about it without the key. */
    tagDestination(destination: Destination): string {
      return mac(tagKey, ['destination', destination])
        .subarray(0, DESTINATION_TAG_BYTES)
        .toString('base64url')
    },
    /** Names a caller's Idempotency-Key or request body under the key, so that a short one cannot be guessed back. */
    fingerprint(parts: readonly string[]): string {
      return mac(tagKey, ['fingerprint', ...parts])
        .subarray(0, 16)
        .toString('base64url')
    },
    macCode(code: Code, owner: CodeOwner): string {
      return macWith(current, code, owner)
    },
    /** The MACs this code would have under each configured key, newest first. */
    macCodeUnderAllKeys(code: Code, owner: CodeOwner): string[] {
      return keys.map((key) => macWith(key, code, owner))
    },
    sealCode(code: Code, owner: Pick<CodeOwner, 'application' | 'id'>): string {
      return seal(code, contextOf('code', owner))
    },
    openCode(sealed: string, owner: Pick<CodeOwner, 'application' | 'id'>): Code {
      return open(sealed, contextOf('code', owner)) as Code
    },
    sealDestination(destination: Destination, owner: Pick<CodeOwner, 'application' | 'id'>): string {
      return seal(destination, contextOf('destination', owner))
    },
    openDestination(sealed: string, owner: Pick<CodeOwner, 'application' | 'id'>): Destination {
      return openedDestination(open(sealed, contextOf('destination', owner)))
    },
  }
}

function newestOf(keys: readonly Key[]): Key {
  const [newest] = keys
  if (!newest) throw new Error('A vault needs at least one code key')
  return newest
}

function deriveKey(master: MasterKey): Key {
  return { id: master.id, mac: derive(master.secret, 'code-mac'), seal: derive(master.secret, 'seal') }
}

function derive(secret: Buffer, use: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `sms-two-factor-auth ${use}`, 32)))
}

/** Parts never contain NUL, so joining by it cannot make two lists look alike. */
function mac(key: KeyObject, parts: readonly string[]): Buffer {
  return createHmac('sha256', key).update(parts.join('\0')).digest()
}

function macWith(key: Key, code: Code, owner: CodeOwner): string {
  const parts = ['code', owner.application, owner.id, owner.destinationTag, owner.purpose, code]
  return `${key.id}.${mac(key.mac, parts).toString('base64url')}`
}

function contextOf(what: string, owner: Pick<CodeOwner, 'application' | 'id'>): string {
  return `${what}\0${owner.application}\0${owner.id}`
}

function sealWith(key: Key, text: string, context: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key.seal, nonce).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `${key.id}.${sealed.toString('base64url')}`
}

function openWith(key: Key, text: string, context: string): string {
  const sealed = Buffer.from(text, 'base64url')
  const decipher = createDecipheriv(CIPHER, key.seal, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-TAG_BYTES))
  return decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
}
