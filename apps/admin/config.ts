/** What an operator's command needs to know: where the keys of the service are, and whether APIs read API keys there. */
import { createReader, type Environment } from '#runtime/env.ts'
import type { RedisPlace } from '#runtime/redis.ts'
import { readKeysInRedis, readRedis, requireInProduction, type Settings } from '#runtime/settings.ts'

export type AdminConfig = RedisPlace & Pick<Settings, 'redisPrefix'> & { keysInRedis: boolean }

export function readConfig(env: Environment): { config: AdminConfig; problems: readonly string[] } {
  const reader = createReader(env)
  if (reader.production) requireInProduction(reader, ['REDIS_URL'])
  const config = { ...readRedis(reader), keysInRedis: readKeysInRedis(reader) }
  return { config, problems: reader.problems }
}
