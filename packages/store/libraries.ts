/**
 * Redis keeps function libraries until somebody deletes them, and each policy has its own: those that no program of this
 * deployment has used for a week go. One that is missed is loaded again by whoever calls it.
 */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { ask, librariesInUse } from './script.ts'

/** Often enough that a week is never missed, whatever is restarted. */
const TIDY_EVERY_MS = 3_600_000
const UNUSED_MS = 7 * 24 * 3_600_000

export function createLibraries({ redis, keys }: { redis: Redis; keys: Keys }) {
  async function tidyQuietly(): Promise<void> {
    // Redis away: in an hour, then.
    await libraries.tidy(Date.now()).catch(() => undefined)
  }

  async function drop(unused: readonly string[]): Promise<void> {
    for (const library of unused) {
      // Somebody else may have deleted it.
      await redis.call('FUNCTION', 'DELETE', library).catch(() => undefined)
      await ask(() => redis.zrem(keys.libraries(), library))
    }
  }

  const libraries = {
    /** Says what this program uses, and deletes what nobody has said so of for a week. Answers how many that were. */
    async tidy(nowMs: number): Promise<number> {
      const key = keys.libraries()
      const seen = librariesInUse().flatMap((library) => [String(nowMs), library])
      if (seen.length > 0) await ask(() => redis.zadd(key, ...seen))
      await ask(() => redis.pexpire(key, 4 * UNUSED_MS))
      const unused = await ask(() => redis.zrange(key, '-inf', String(nowMs - UNUSED_MS), 'BYSCORE'))
      await drop(unused)
      return unused.length
    },

    /** For libraries that nobody else has, such as those of one replay. */
    drop,

    /** Tidies now and then, from the first connection on, until what it answers is called. */
    keepTidy(): () => void {
      redis.on('ready', tidyQuietly)
      const timer = setInterval(tidyQuietly, TIDY_EVERY_MS)
      return () => clearInterval(timer)
    },
  }
  return libraries
}
