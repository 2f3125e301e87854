/** A whole service on the Redis of the tests, or another one, that is gone when its test is. */
import type { TestContext } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { type Service, startService } from '#test/fixtures/service.ts'

export type Options = Partial<Parameters<typeof startService>[0]>

/** Its programs may not be ready yet. */
export async function starting({ onTestFinished }: TestContext, options: Options = {}): Promise<Service> {
  const service = await startService({ redisUrl: testRedisUrl(), ...options })
  onTestFinished(() => service.stop())
  return service
}

export async function running(context: TestContext, options: Options = {}): Promise<Service> {
  const service = await starting(context, options)
  await service.ready()
  return service
}
