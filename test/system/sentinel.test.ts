/** A primary that dies or falls silent under load, and the replica that Redis Sentinel puts in its place (P9). */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { NO_LIMITS } from '#test/fixtures/no-limits.ts'
import { PRIMARY, startSentinels } from '#test/fixtures/sentinel.ts'
import { numberEnding, startService } from '#test/fixtures/service.ts'
import { type Begun, expectNothingBroken } from './aftermath.ts'

const PASSWORD = 'sentinels-of-the-tests'
/** Detection 2 s, election and promotion about as much; everybody is back soon after. */
const BACK_MS = 20_000

describe.concurrent('a primary that', () => {
  it.for([
    ['dies', 'kill'],
    ['falls silent', 'freeze'],
  ] as const)(
    '%s under load: refusals in time until the replica takes over, and then everything goes on by itself',
    { timeout: 120_000 },
    async ([, fault], context) => {
      const sentinels = await startSentinels(PASSWORD)
      context.onTestFinished(() => sentinels.stop())
      const service = await startService({
        // Nobody listens there: where Redis is, is what the sentinels say.
        redisUrl: 'redis://127.0.0.1:1',
        workers: 2,
        env: {
          ...NO_LIMITS,
          REDIS_SENTINELS: sentinels.addresses,
          REDIS_SENTINEL_NAME: PRIMARY,
          REDIS_SENTINEL_PASSWORD: PASSWORD,
        },
      })
      context.onTestFinished(() => service.stop())
      await service.ready()

      const taken: Begun[] = []
      const statuses = new Set<number>()
      let loading = true
      const load = (async () => {
        while (loading) {
          const to = numberEnding()
          const { status, body, ms } = await service.start(to)
          statuses.add(status)
          expect(ms).toBeLessThan(2_000)
          if (status === 202) taken.push({ id: String(body.id), to })
          await wait(20)
        }
      })()
      await wait(1_000)
      const before = taken.length
      await sentinels.primary[fault]()
      const brokenAt = performance.now()
      await sentinels.failedOver()
      await vi.waitFor(() => expect(taken.length).toBeGreaterThan(before + 20), {
        timeout: BACK_MS,
        interval: 50,
      })
      expect(performance.now() - brokenAt).toBeLessThan(BACK_MS)
      // The old one comes back, believes for a moment that it is the primary, and is made a replica.
      if (fault === 'freeze') sentinels.primary.thaw()
      else await sentinels.primary.restart()
      await vi.waitFor(
        async () => expect(await sentinels.primary.ask('INFO replication')).toContain('role:slave'),
        { timeout: BACK_MS, interval: 50 },
      )
      await wait(1_000)
      loading = false
      await load
      await service.ready()
      expect([...statuses].sort()).toEqual([202, 503])

      // Replication is asynchronous: what was answered in its last moment may be lost, and the caller is told so.
      const kept: Begun[] = []
      for (const one of taken) {
        const { status } = await service.call('GET', `/v1/verifications/${one.id}`)
        expect([200, 404]).toContain(status)
        if (status === 200) kept.push(one)
      }
      expect(taken.length - kept.length).toBeLessThan(5)
      for (const { id, to } of kept) {
        await vi.waitFor(async () => expect(await service.delivery(id)).toBe('delivered'), {
          timeout: 45_000,
          interval: 100,
        })
        expect((await service.arrived(to)).length).toBeGreaterThan(0)
      }
      await expectNothingBroken(service, sentinels.replica.url, kept)
    },
  )
})
