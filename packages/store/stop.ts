/** The stop for all sending: one key that start, resend and claim ask in the step that decides. */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { ask } from './script.ts'

export type Stopped = { sinceMs: number; reason: string }

/** Somebody who stops sending wants it stopped until somebody allows it again. */
const STOPPED_TTL_S = 365 * 24 * 3_600
const REASON_LONGEST = 200

export function createStop({ redis, keys }: { redis: Redis; keys: Keys }) {
  return {
    async stop(reason: string, nowMs: number): Promise<void> {
      const text = `${nowMs} ${reason.slice(0, REASON_LONGEST)}`
      await ask(() => redis.set(keys.stopped(), text, 'EX', STOPPED_TTL_S))
    },

    async allow(): Promise<void> {
      await ask(() => redis.del(keys.stopped()))
    },

    async read(): Promise<Stopped | undefined> {
      const text = await ask(() => redis.get(keys.stopped()))
      const [, since = '0', reason = ''] = /^([0-9]+) (.*)$/s.exec(text ?? '') ?? []
      return text === null ? undefined : { sinceMs: Number(since), reason }
    },
  }
}
