/** Redis gone for longer than a lease while the provider takes the messages: what the workers know is not lost (P5, P7). */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, startService } from '#test/fixtures/service.ts'
import { begin, expectNothingBroken } from './aftermath.ts'

/** Longer than lease and lock; about what a failover with all its timeouts takes. */
const AWAY_MS = 16_000
/** The job of each has lost its lock, and is looked at once more: lock, stall check, and a wait for a receipt. */
const JOBS_GONE_MS = 40_000
/** Longer than one that finds no send is offered. */
const NEWS_AWAY_MS = 26_000
const SENDS = 4

const eventually = <T>(timeout: number, read: () => T | Promise<T>) =>
  vi.waitFor(read, { timeout, interval: 50 })

describe.concurrent('Redis gone for longer than a lease', () => {
  it.for(['relay', 'rest'])(
    'over %s, while the provider accepts: each is accepted when it is back, and no second SMS leaves',
    {
      timeout: 120_000,
    },
    async (providers, { onTestFinished }) => {
      const redis = await startOwnRedis()
      onTestFinished(() => redis.stop())
      const service = await startService({
        redisUrl: redis.url,
        workers: 2,
        env: { PROVIDERS: providers },
        // A message over REST says by its callback's address which send it is.
        callbacks: providers === 'rest',
      })
      onTestFinished(() => service.stop())
      await service.ready()
      service.sandbox.setLatency(3_000)
      // No receipt ever comes of these: nothing but the worker's own word says that they were accepted.
      const begun = await Promise.all(
        Array.from({ length: SENDS }, () => begin(service, numberEnding('0111'))),
      )
      await eventually(5_000, async () => {
        for (const { id } of begun) expect(await service.delivery(id)).toBe('submitting')
      })
      await redis.kill()
      await wait(AWAY_MS)
      for (const { to } of begun) expect(await service.arrived(to)).toHaveLength(1)
      await redis.restart()
      await eventually(8_000, async () => {
        for (const { id } of begun) expect(await service.delivery(id)).toBe('accepted')
      })
      const jobs = `EVAL "return #redis.call('KEYS','{${service.prefix}:queue}:deliveries:s-*')" 0`
      await eventually(JOBS_GONE_MS, async () => expect(await redis.ask(jobs)).toBe('0'))
      for (const { id, to } of begun) {
        expect(await service.arrived(to)).toHaveLength(1)
        const { body } = await service.call('GET', `/v1/verifications/${id}`)
        expect(body.sends).toMatchObject([
          { possible_duplicate: false, attempts: 1, timeline: [{ outcome: 'accepted' }] },
        ])
      }
      await expectNothingBroken(service, redis.url, begun)
    },
  )

  it.for([
    ['relay', false],
    ['rest', true],
  ] as const)(
    'over %s: news that comes meanwhile is known when it is back, and nobody says otherwise',
    {
      timeout: 90_000,
    },
    async ([providers, callbacks], { onTestFinished }) => {
      const redis = await startOwnRedis()
      onTestFinished(() => redis.stop())
      const env = { PROVIDERS: providers }
      const service = await startService({ redisUrl: redis.url, callbacks, env, sandbox: { pace: 0.2 } })
      onTestFinished(() => service.stop())
      await service.ready()
      // Delivered three seconds after it left.
      const begun = await begin(service, numberEnding('0101'))
      await eventually(2_500, async () => expect(await service.delivery(begun.id)).toBe('accepted'))
      await redis.kill()
      await wait(NEWS_AWAY_MS)
      await redis.restart()
      await eventually(8_000, async () => expect(await service.delivery(begun.id)).toBe('delivered'))
      for (const { output } of [...service.apis, ...service.workers])
        expect(output()).not.toMatch(/found no send|not stored/)
      await expectNothingBroken(service, redis.url, [begun])
    },
  )
})
