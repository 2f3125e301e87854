/**
 * The API keys that `npm run keys` makes: one hash for all of them, read whole by every API every other second. Only the
 * SHA-256 of a key is kept, and of one that was revoked not even that.
 */
import type { Redis } from 'ioredis'
import { type ApiKey, formatScopes, isApiKeyId, parseKeyHolder, parseScopes } from '#verification/api-key.ts'
import type { Keys } from './keys.ts'
import { ask, askAll } from './script.ts'

/** Times are Redis's, in milliseconds since 1970. */
export type StoredApiKey = ApiKey & {
  id: string
  createdAtMs: number
  /** Absent while the key counts. Afterwards the digest is gone, and `''` here. */
  revokedAtMs?: number
}

/**
 * A key that an application holds must not end by itself, and nothing in Redis may stay for ever: whoever reads the
 * keys renews their life when half of it is over, so only those that no API has read for five years go.
 */
const LIFE_MS = 10 * 365 * 24 * 3_600_000

export type ApiKeys = ReturnType<typeof createApiKeys>

export function createApiKeys({ redis, keys }: { redis: Redis; keys: Keys }) {
  const key = keys.apiKeys()

  async function now(): Promise<number> {
    const [seconds, microseconds] = await ask(() => redis.time())
    return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
  }

  /** Apart from the reading: a Redis that refuses writes must not keep anybody from reading a revocation. */
  function renew(): void {
    redis.pexpire(key, LIFE_MS).catch(() => {})
  }

  return {
    async create({ id, application, scopes, digest }: ApiKey & { id: string }): Promise<void> {
      const record = [application, formatScopes(scopes), await now(), digest].join(' ')
      const [created] = await askAll(redis.multi().hsetnx(key, id, record).pexpire(key, LIFE_MS))
      if (created !== 1) throw new Error('Two API keys drew the same id')
    },

    /** Revoked once is revoked: the record stays, so that lists tell of it, without what could be compared. */
    async revoke(id: string): Promise<'revoked' | 'was_revoked' | 'unknown'> {
      const stored = decode(id, (await ask(() => redis.hget(key, id))) ?? '')
      if (!stored) return 'unknown'
      if (stored.revokedAtMs !== undefined) return 'was_revoked'
      const { application, scopes, createdAtMs } = stored
      const record = [application, formatScopes(scopes), createdAtMs, REVOKED, await now()].join(' ')
      await ask(() => redis.hset(key, id, record))
      return 'revoked'
    },

    /** All that were ever made, oldest first; `unreadable`: records that are none of ours, which count for nobody. */
    async list(): Promise<{ keys: StoredApiKey[]; unreadable: number }> {
      const [hash, life] = await askAll(redis.pipeline().hgetall(key).pttl(key))
      if (Number(life) >= -1 && Number(life) < LIFE_MS / 2) renew()
      const records = Object.entries(hash as Record<string, string>)
      const decoded = records
        .map(([id, record]) => decode(id, record))
        .filter((stored) => stored !== undefined)
      decoded.sort((one, other) => one.createdAtMs - other.createdAtMs)
      return { keys: decoded, unreadable: records.length - decoded.length }
    },
  }
}

/** Where the digest stood. */
const REVOKED = '-'
const digestShape = /^[A-Za-z0-9_-]{43}$/

function decode(id: string, record: string): StoredApiKey | undefined {
  const [name = '', scopeList = '', createdAt, digest = '', revokedAt] = record.split(' ')
  const scopes = parseScopes(scopeList)
  const application = scopes && parseKeyHolder(name, scopes)
  const createdAtMs = Number(createdAt)
  if (!isApiKeyId(id) || !application || !scopes || !Number.isSafeInteger(createdAtMs)) return undefined
  const base = { id, application, scopes, createdAtMs }
  if (digest === REVOKED) return { ...base, digest: '', revokedAtMs: Number(revokedAt) }
  return digestShape.test(digest) ? { ...base, digest } : undefined
}
