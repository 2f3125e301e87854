/**
 * The outbox: events as the scripts left them, until they lie in their queue. Whoever empties it moves an entry on first
 * and removes it then, so that one who dies in between loses nothing. And which receiver wants no more events.
 */
import type { Redis } from 'ioredis'
import { readEvent, type Told } from '#verification/event.ts'
import type { Policy } from '#verification/policy.ts'
import type { Keys } from './keys.ts'
import { ask, loadScript, numberAt, textAt } from './script.ts'

/** `told` is absent for an entry that cannot be read. */
type Entry = { id: string; told: Told | undefined }
/** Entries, oldest first; `waiting` is how many lie there. */
export type Taken = { kind: 'taken'; waiting: number; entries: Entry[] } | { kind: 'busy' }

/** Longer than any step takes; when a program dies the next one waits this long. */
const LEASE_MS = 5_000
/** Who says that nothing more is wanted means it until somebody says otherwise. */
const GONE_TTL_S = 365 * 24 * 3_600

export type Outbox = ReturnType<typeof createOutbox>

export function createOutbox({ redis, keys, policy }: { redis: Redis; keys: Keys; policy: Policy }) {
  const take = loadScript('take.lua', policy)
  return {
    /** @param token of the program that asks; one at a time is answered */
    async take(token: string, count: number): Promise<Taken> {
      const reply = await take(redis, [keys.outbox(), keys.outboxLease()], [token, count, LEASE_MS])
      if (reply[0] === 'busy') return { kind: 'busy' }
      const entries: Entry[] = []
      for (let index = 2; index + 1 < reply.length; index += 2) {
        const id = textAt(reply, index)
        entries.push({ id, told: readEvent(id, JSON.parse(textAt(reply, index + 1))) })
      }
      return { kind: 'taken', waiting: numberAt(reply, 1), entries }
    },

    async remove(ids: readonly string[]): Promise<void> {
      await ask(() => redis.xdel(keys.outbox(), ...ids))
    },

    /** @param receiver a word for its address */
    async setGone(receiver: string): Promise<void> {
      await ask(() => redis.set(keys.gone(receiver), '1', 'EX', GONE_TTL_S))
    },

    async isGone(receiver: string): Promise<boolean> {
      return (await ask(() => redis.exists(keys.gone(receiver)))) === 1
    },
  }
}
