/** A connection for the length of one command. */
import { once } from 'node:events'
import type { Redis } from 'ioredis'
import { createLog } from '#runtime/log.ts'
import { connectForRequests, faultName, lacksRight, type RedisPlace } from '#runtime/redis.ts'
import { StoreFault } from '#store/script.ts'

const CONNECT_MS = 3_000

export async function withRedis<T>(at: RedisPlace, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = connectForRequests(at, createLog({ program: 'admin', level: 'silent' }))
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) })
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

/** An address may hold a password, so it is named by its variable. */
export function sentenceOfFault(error: unknown): string {
  const fault = error instanceof StoreFault ? error.cause : error
  if (isOfRight(fault))
    return 'The user of REDIS_URL lacks a right in Redis (docs/runbook.md, "Redis users").'
  return `Redis (REDIS_URL) did not answer: ${faultName(fault)}.`
}

/** Of a transaction Redis says only that it was given up; what it refused stands beside it. */
function isOfRight(fault: unknown): boolean {
  if (!(fault instanceof Error)) return false
  const { previousErrors = [] } = fault as { previousErrors?: readonly Error[] }
  return [fault, ...previousErrors].some(lacksRight)
}
