/**
 * API keys: who holds one, what it may do, how one is made and what is kept of it. A key made here is 256 random bits
 * behind a prefix that people and secret scanners know again; only its SHA-256 is kept. Bits that nobody can guess need
 * no slow hash.
 */
import { hash, randomBytes } from 'node:crypto'
import { type Application, FORM_APPLICATION, parseApplication } from './verification.ts'

/**
 * - `send`: start, send again, cancel.
 * - `check`: check a code.
 * - `read`: look at a verification.
 * - `admin`: what concerns a number as a whole, whoever verifies it.
 */
export const SCOPES = ['send', 'check', 'read', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** Of a key for which no scopes were named: all that verifying takes. */
export const DEFAULT_SCOPES: readonly Scope[] = ['send', 'check', 'read']

export type ApiKey = {
  application: Application
  scopes: readonly Scope[]
  /** SHA-256 of the key in base64url. */
  digest: string
  /** Names a key of Redis in lists and in the log; a key of the environment has none. */
  id?: string
}

const KEY_PREFIX = '2fa_'
const KEY_BYTES = 32
/** Sixteen letters and no digit: an id in the log must not look like a piece of a number. */
const ID_LETTERS = 'bcdfghjkmnpqrstv'
const idShape = /^[bcdfghjkmnpqrstv]{10}$/

export function newApiKey(): { id: string; key: string } {
  const key = `${KEY_PREFIX}${randomBytes(KEY_BYTES).toString('base64url')}`
  const id = Array.from(randomBytes(10), (byte) => ID_LETTERS[byte % ID_LETTERS.length]).join('')
  return { id, key }
}

export function isApiKeyId(text: string): boolean {
  return idShape.test(text)
}

export function digestOf(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** Scopes joined by `+` or by commas, each once; `undefined` when one is unknown or there is none. */
export function parseScopes(text: string): readonly Scope[] | undefined {
  const named = text.split(/[+,]/)
  const scopes = SCOPES.filter((scope) => named.includes(scope))
  return scopes.length > 0 && scopes.length === named.length ? scopes : undefined
}

export function formatScopes(scopes: readonly Scope[]): string {
  return scopes.join('+')
}

/**
 * Whoever sees the page may use it: a key of the form's application could only get around what the page asks of people.
 * So it may do nothing but what the page cannot: `admin` alone.
 */
export function parseKeyHolder(text: string, scopes: readonly Scope[]): Application | undefined {
  const application = parseApplication(text)
  const allowed = application !== FORM_APPLICATION || scopes.every((scope) => scope === 'admin')
  return allowed ? application : undefined
}
