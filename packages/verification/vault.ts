/**
 * What keeps codes and numbers out of Redis in clear: a keyed MAC to compare codes by, sealed copies for the worker,
 * and keyed tags to count numbers by. Keys come from outside Redis and carry an id, so that they rotate with an
 * overlap: the first key makes, every key reads.
 */
import type { KeyObject } from 'node:crypto'
import type { Code } from './code.ts'
import { type Context, canonicalContext } from './context.ts'
import { type Destination, openedDestination } from './destination.ts'
import { derive, type MasterKey, mac, newestOf, openAny, type SealKey, seal } from './sealing.ts'
import type { Tags } from './tags.ts'
import type { Application, Purpose, VerificationId } from './verification.ts'

type Key = SealKey & { mac: KeyObject }

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

export type Vault = ReturnType<typeof createVault>

/**
 * @param codeKeys at least one; the first makes MACs and seals, all of them read
 * @param tags what numbers are counted under by now; throws while that is not known, and so does whatever needs it
 */
export function createVault({ codeKeys, tags }: { codeKeys: readonly MasterKey[]; tags: () => Tags }) {
  const keys = codeKeys.map(deriveKey)
  const current = newestOf(keys)

  return {
    tagDestination: (destination: Destination) => tags().tagDestination(destination),
    tagPart: (...part: Parameters<Tags['tagPart']>) => tags().tagPart(...part),
    fingerprint: (parts: readonly string[]) => tags().fingerprint(parts),
    tagContext: (...about: Parameters<Tags['tagContext']>) => tags().tagContext(...about),
    macCode(code: Code, owner: CodeOwner): string {
      return macWith(current, code, owner)
    },
    /** The MACs this code would have under each configured key, newest first. */
    macCodeUnderAllKeys(code: Code, owner: CodeOwner): string[] {
      return keys.map((key) => macWith(key, code, owner))
    },
    /** One sealed copy of what the worker needs; bound to its verification, so that it opens nowhere else. */
    seal({ destination, code }: Letter, owner: LetterOwner): string {
      return seal(current, packDigits(destination, code), boundTo('letter', owner))
    },
    /** `undefined` when it was sealed with a key that is not configured here, as it may be while keys rotate. */
    open(sealed: string, owner: LetterOwner): Letter | undefined {
      const letter = openAny(keys, sealed, boundTo('letter', owner))
      return letter && unpackDigits(letter)
    },
    /** The payment as it was spelled, for the message; bound as a letter is, and opens as no letter. */
    sealContext({ amount, currency, payee }: Context, owner: LetterOwner): string {
      return seal(current, Buffer.from([amount, currency, payee].join('\0')), boundTo('context', owner))
    },
    openContext(sealed: string, owner: LetterOwner): Context | undefined {
      const [amount, currency, payee] =
        openAny(keys, sealed, boundTo('context', owner))?.toString().split('\0') ?? []
      return payee === undefined ? undefined : ({ amount, currency, payee } as Context)
    },
    /** The number that is to be answered by `sender`, one of ours; opens as nothing else. */
    sealAddressee(destination: Destination, sender: string): string {
      return seal(current, Buffer.from(destination), addresseeOf(sender))
    },
    openAddressee(sealed: string, sender: string): Destination | undefined {
      const opened = openAny(keys, sealed, addresseeOf(sender))
      return opened && openedDestination(opened.toString())
    },
  }
}

function deriveKey(master: MasterKey): Key {
  return { id: master.id, mac: derive(master.secret, 'code-mac'), seal: derive(master.secret, 'seal') }
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
