/** One worker whose way to Redis is tapped, and no other yet: to be killed or frozen between two of its steps. */
import type { TestContext } from 'vitest'
import type { SandboxOptions } from '#sandbox/sandbox.ts'
import { type OwnRedis, startOwnRedis } from '#test/fixtures/redis-server.ts'
import { openRedisTap, type RedisTap } from '#test/fixtures/redis-tap.ts'
import { type Program, type Service, startService } from '#test/fixtures/service.ts'

type Stage = { redis: OwnRedis; tap: RedisTap; service: Service; victim: Program }

export async function stage(
  { onTestFinished }: TestContext,
  env: Record<string, string> = {},
  sandbox: SandboxOptions = {},
): Promise<Stage> {
  const redis = await startOwnRedis()
  onTestFinished(() => redis.stop())
  const tap = await openRedisTap(redis.url)
  onTestFinished(() => tap.close())
  const service = await startService({ redisUrl: redis.url, workers: 0, env, sandbox })
  onTestFinished(() => service.stop())
  const victim = await service.startWorker({ REDIS_URL: tap.url })
  await service.ready()
  return { redis, tap, service, victim }
}
