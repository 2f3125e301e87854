/** Keys that would stay for ever, but for the few that an idle queue keeps. */
import type { Redis } from 'ioredis'

/** BullMQ's own: no job, nothing of ours, and none of them grows. */
const QUEUE_KEEPS = /^\{[\w-]+:queue\}:(deliveries|events):(meta|id|events|marker|stalled-check)$/

export async function endlessKeys(redis: Redis, prefix: string): Promise<string[]> {
  const keys = await redis.keys(`{${prefix}*`)
  const ttls = await Promise.all(keys.map((key) => redis.pttl(key)))
  return keys.filter((key, at) => ttls[at] === -1 && !QUEUE_KEEPS.test(key))
}
