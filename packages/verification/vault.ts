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
  randomFillSync,
} from 'node:crypto'
import type { Code } from './code.ts'
import { type Context, canonicalContext } from './context.ts'
import { type Destination, openedDestination } from './destination.ts'
import { remember } from './remember.ts'
import type { Application, Purpose, VerificationId } from './verification.ts'

/** A 256-bit key as configured. `id` is one to four characters of a-z and 0-9: it is stored with all it made. */
export type MasterKey = { id: string; secret: Buffer }

type Key = { id: string; mac: KeyObject; seal: KeyObject }

export type CodeOwner = {
  application: Application
  id: VerificationId
  destinationTag: string
  purpose: Purpose
  /** The payment the code is for, where it is for one. */
  context?: Context | undefined
}

/** What a message is made of. */
export type Letter = { destination: Destination; code: Code }
type LetterOwner = Pick<CodeOwner, 'application' | 'id'>

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** 128 bits: no two numbers of the world's share a tag, and three keys a number stay short. */
const DESTINATION_TAG_BYTES = 16
const PART_TAG_BYTES = 9
const TAGS_REMEMBERED_MAX = 2_000

export type Vault = ReturnType<typeof createVault>

/**
 * @param codeKeys at least one; the first makes MACs and seals, all of them read
 * @param destinationKey counts numbers; changing it forgets every budget
 */
export function createVault(options: { codeKeys: readonly MasterKey[]; destinationKey: Buffer }) {
  const keys = options.codeKeys.map(deriveKey)
  const current = newestOf(keys)
  const tagKey = derive(options.destinationKey, 'destination-tag')
  const tagParts = remember(TAGS_REMEMBERED_MAX, (part) =>
    mac(tagKey, ['part', part]).subarray(0, PART_TAG_BYTES).toString('base64url'),
  )

  function openAny(sealed: string, aad: Buffer): Buffer | undefined {
    const dot = sealed.indexOf('.')
    const key = keys.find((candidate) => candidate.id === sealed.slice(0, dot))
    return key && openWith(key, sealed.slice(dot + 1), aad)
  }

  return {
    /** The name a number is counted under; says nothing about it without the key. */
    tagDestination: remember(TAGS_REMEMBERED_MAX, (destination) =>
      mac(tagKey, ['destination', destination]).subarray(0, DESTINATION_TAG_BYTES).toString('base64url'),
    ) satisfies (destination: Destination) => string,
    /**
     * The name a part of a number, or an address, is counted under: 72 bits, for things of which there are millions at
     * most and whose mix-up costs a count and nothing else.
     */
    tagPart: (kind: 'prefix' | 'ip' | 'network', text: string): string => tagParts(`${kind}\0${text}`),
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
    /** One sealed copy of what the worker needs; bound to its verification, so that it opens nowhere else. */
    seal({ destination, code }: Letter, owner: LetterOwner): string {
      return sealWith(current, packDigits(destination, code), boundTo('letter', owner))
    },
    /** `undefined` when it was sealed with a key that is not configured here, as it may be while keys rotate. */
    open(sealed: string, owner: LetterOwner): Letter | undefined {
      const letter = openAny(sealed, boundTo('letter', owner))
      return letter && unpackDigits(letter)
    },
    /** The payment as it was spelled, for the message; bound as a letter is, and opens as no letter. */
    sealContext({ amount, currency, payee }: Context, owner: LetterOwner): string {
      return sealWith(current, Buffer.from([amount, currency, payee].join('\0')), boundTo('context', owner))
    },
    openContext(sealed: string, owner: LetterOwner): Context | undefined {
      const [amount, currency, payee] =
        openAny(sealed, boundTo('context', owner))?.toString().split('\0') ?? []
      return payee === undefined ? undefined : ({ amount, currency, payee } as Context)
    },
    /** The number that is to be answered by `sender`, one of ours; opens as nothing else. */
    sealAddressee(destination: Destination, sender: string): string {
      return sealWith(current, Buffer.from(destination), addresseeOf(sender))
    },
    openAddressee(sealed: string, sender: string): Destination | undefined {
      const opened = openAny(sealed, addresseeOf(sender))
      return opened && openedDestination(opened.toString())
    },
    /** Tells two payments of one number and purpose apart, and says nothing else about them. */
    tagContext(
      context: Context,
      { application, destinationTag, purpose }: Pick<CodeOwner, 'application' | 'destinationTag' | 'purpose'>,
    ): string {
      const parts = ['context', application, destinationTag, purpose, canonicalContext(context)]
      return mac(tagKey, parts).subarray(0, PART_TAG_BYTES).toString('base64url')
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

/** One key for one use: what was made with it says nothing about the others. */
export function derive(secret: Buffer, use: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `sms-two-factor-auth ${use}`, 32)))
}

/** Parts never contain NUL, so joining by it cannot make two lists look alike. */
export function mac(key: KeyObject, parts: readonly string[]): Buffer {
  return createHmac('sha256', key).update(parts.join('\0')).digest()
}

function macWith(key: Key, code: Code, owner: CodeOwner): string {
  const parts = ['code', owner.application, owner.id, owner.destinationTag, owner.purpose, code]
  if (owner.context) parts.push(canonicalContext(owner.context))
  return `${key.id}.${mac(key.mac, parts).toString('base64url')}`
}

function boundTo(what: 'letter' | 'context', { application, id }: LetterOwner): Buffer {
  return Buffer.from(`${what}\0${application}\0${id}`)
}

const addresseeOf = (sender: string) => Buffer.from(`addressee\0${sender}`)

/**
 * Two digits a byte, `f` between and after: with nonce, tag and key id the sealed copy stays under 64 characters, the
 * longest value Redis keeps inside a compact hash.
 */
function packDigits(destination: Destination, code: Code): Buffer {
  const digits = `${destination.slice(1)}f${code}`
  return Buffer.from(digits.length % 2 === 0 ? digits : `${digits}f`, 'hex')
}

function unpackDigits(packed: Buffer): Letter {
  const [destination = '', code = ''] = packed.toString('hex').split('f')
  return { destination: openedDestination(`+${destination}`), code: code as Code }
}

function sealWith(key: Key, text: Buffer, aad: Buffer): string {
  const nonce = freshNonce()
  const cipher = createCipheriv(CIPHER, key.seal, nonce).setAAD(aad)
  const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
  return `${key.id}.${sealed.toString('base64url')}`
}

function openWith(key: Key, text: string, aad: Buffer): Buffer {
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
