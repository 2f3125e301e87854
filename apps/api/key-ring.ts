/**
 * The API keys that count right now, from the environment and from Redis together, and whose the presented one is.
 * Changed as a whole while requests come; knows nothing of where keys come from.
 */
import { timingSafeEqual } from 'node:crypto'
import { type ApiKey, digestOf } from '#verification/api-key.ts'
import type { Application } from '#verification/verification.ts'

/** @property everMade whether there is any key in Redis, be it a revoked one */
export type StoredKeys = { keys: readonly ApiKey[]; everMade: boolean }

export type KeyRing = ReturnType<typeof createKeyRing>

type Entry = { key: ApiKey; digest: Buffer }
type Index = ReadonlyMap<number, readonly Entry[]>

export function createKeyRing({ production }: { production: boolean }) {
  let configured: readonly ApiKey[] = []
  let stored: StoredKeys | undefined
  let index: Index = new Map()

  function refill(): void {
    index = indexOf([...configured, ...(stored?.keys ?? [])])
  }

  /**
   * Digests are compared in constant time, and only those that begin alike: with a thousand keys a comparison with
   * each would cost as much as the rest of a request. The beginning is four bytes of a SHA-256 of the key, which say
   * nothing about it. Nothing is remembered from one request to the next: the digest costs a microsecond, and a
   * memory of headers would be searched by comparing keys, character after character.
   */
  function findDigest(presented: Buffer): ApiKey | undefined {
    return index
      .get(startOf(presented))
      ?.filter(({ digest }) => timingSafeEqual(digest, presented))
      .at(0)?.key
  }

  return {
    setConfigured(keys: readonly ApiKey[]): void {
      configured = keys
      refill()
    },
    setStored(keys: StoredKeys): void {
      stored = keys
      refill()
    },
    /** Before Redis was read once, a key that is not known may be a good one all the same. */
    isComplete: (): boolean => stored !== undefined,
    /** Nobody has ever made a key. One that was revoked closes the door for good: revoking must not open it. */
    isOpen: (): boolean => !production && configured.length === 0 && stored?.everMade === false,
    find: (key: string): ApiKey | undefined => findDigest(digestOf(key)),
    /** A key that was found before, as it counts now; `undefined` once it was revoked. */
    findAgain: ({ digest }: Pick<ApiKey, 'digest'>): ApiKey | undefined =>
      findDigest(Buffer.from(digest, 'base64url')),
    applications: (): Application[] => [
      ...new Set([...configured, ...(stored?.keys ?? [])].map(({ application }) => application)),
    ],
  }
}

function indexOf(keys: readonly ApiKey[]): Index {
  const entries = keys.map((key) => ({ key, digest: Buffer.from(key.digest, 'base64url') }))
  return Map.groupBy(entries, ({ digest }) => startOf(digest))
}

function startOf(digest: Buffer): number {
  return digest.readUInt32BE(0)
}
