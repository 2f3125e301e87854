/** A Redis that is there and refuses, forgets or says nothing for half a minute, under the programs as they run (P9). */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { type OwnRedis, startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Program } from '#test/fixtures/service.ts'
import { atFullLength, atRest, begin, beginMany, expectNothingBroken } from './aftermath.ts'
import { running } from './running.ts'
import { stage } from './stage.ts'

/** A job whose end Redis refused is looked at again when its lock has run out and the stall check comes round. */
const RERUN_MS = 22_000

async function onOwnRedis(context: TestContext, workers = 1) {
  const redis = await startOwnRedis()
  context.onTestFinished(() => redis.stop())
  return { redis, service: await running(context, { redisUrl: redis.url, workers }) }
}

const eventually = <T>(timeout: number, read: () => T | Promise<T>) =>
  vi.waitFor(read, { timeout, interval: 50 })

const linesOf = ({ output }: Program) => output().split('\n').length
const set = (redis: OwnRedis, name: string, value: string) => redis.ask(`CONFIG SET ${name} ${value}`)

/** How Redis is made to refuse every write, and how it is well again. */
const refusals: [string, (redis: OwnRedis) => Promise<unknown>, (redis: OwnRedis) => Promise<unknown>][] = [
  ['out of memory', (redis) => set(redis, 'maxmemory', '1'), (redis) => set(redis, 'maxmemory', '0')],
  ['read-only', (redis) => redis.ask('REPLICAOF 127.0.0.1 1'), (redis) => redis.ask('REPLICAOF NO ONE')],
  [
    'without its replicas',
    (redis) => set(redis, 'min-replicas-to-write', '1'),
    (redis) => set(redis, 'min-replicas-to-write', '0'),
  ],
]

describe.concurrent('Redis', () => {
  it.for(refusals)(
    '%s under load: refusals in time, few lines, and every send taken before or after goes out once',
    { timeout: 90_000 },
    async ([, refuse, relent], context) => {
      const { redis, service } = await onOwnRedis(context, 2)
      const begun = await beginMany(service, { everyMs: 50, forMs: 1_000 })
      // Slow enough that some are in the provider's hands when it begins.
      service.sandbox.setLatency(500)
      begun.push(...(await beginMany(service, { everyMs: 20, forMs: 600 })))
      const before = service.workers.map(linesOf)
      expect(await refuse(redis)).toBe('OK')
      const during = await Promise.all(Array.from({ length: 10 }, () => service.start(numberEnding())))
      for (const { status, body, ms, headers } of during) {
        expect([status, body.code]).toEqual([503, 'service_unavailable'])
        expect(headers.get('Retry-After')).toBe('1')
        expect(ms).toBeLessThan(2_000)
      }
      await wait(5_000)
      service.workers.forEach((worker, at) => {
        // One an attempt that was in hand, and a few for the outage.
        expect(linesOf(worker) - (before[at] ?? 0)).toBeLessThan(80)
      })
      expect(await relent(redis)).toBe('OK')
      service.sandbox.setLatency(0)
      begun.push(...(await beginMany(service, { everyMs: 50, forMs: 1_000 })))
      expect(begun).toHaveLength(70)
      await atRest(service, begun, RERUN_MS)
      for (const { to } of begun) expect((await service.arrived(to)).length).toBeGreaterThan(0)
      await expectNothingBroken(service, redis.url, begun)
    },
  )

  it('without its replicas exactly when a job is completed, and fails to be failed: nothing is sent a second time', {
    timeout: 60_000,
  }, async (context) => {
    const { redis, tap, service, victim: worker } = await stage(context)
    const caught = tap.catch('finished', 'asked')
    const to = numberEnding('0111')
    const begun = await begin(service, to)
    const completion = await caught
    expect(await service.delivery(begun.id)).toBe('accepted')
    await set(redis, 'min-replicas-to-write', '1')
    completion.release()
    // BullMQ has tried both by then; three milliseconds are enough for that, but not every time.
    await eventually(5_000, () => expect(worker.output()).toContain('the queue reported an error'))
    await set(redis, 'min-replicas-to-write', '0')
    const jobs = () => redis.ask(`EVAL "return #redis.call('KEYS','*:deliveries:s-*')" 0`)
    expect(await jobs()).not.toBe('0')
    await eventually(RERUN_MS, async () => expect(await jobs()).toBe('0'))
    expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('forgetting its scripts and functions all the time under load: every send goes out once', {
    timeout: 60_000,
  }, async (context) => {
    const { redis, service } = await onOwnRedis(context, 2)
    const traffic = beginMany(service, { everyMs: 20, forMs: 3_000 })
    for (let flush = 0; flush < 30; flush++) {
      for (const kind of ['SCRIPT', 'FUNCTION']) expect(await redis.ask(`${kind} FLUSH`)).toBe('OK')
      await wait(100)
    }
    const begun = await traffic
    expect(begun).toHaveLength(150)
    await eventually(10_000, async () => {
      for (const { id } of begun) expect(await service.delivery(id)).toBe('delivered')
    })
    for (const { to } of begun) expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, redis.url, begun)
  })

  it('frozen for half a minute under load: refusals in time, and what was taken goes out', {
    timeout: 120_000,
  }, async (context) => {
    // Longer than a lease and a lock together is what matters; half a minute is what an operator would see.
    const frozenMs = atFullLength ? 30_000 : 22_000
    const { redis, service } = await onOwnRedis(context, 2)
    const begun = await beginMany(service, { everyMs: 50, forMs: 1_000 })
    service.sandbox.setLatency(500)
    begun.push(...(await beginMany(service, { everyMs: 20, forMs: 600 })))
    redis.freeze()
    const frozenAt = performance.now()
    while (performance.now() - frozenAt < frozenMs) {
      const { status, ms } = await service.start(numberEnding())
      expect(status).toBe(503)
      expect(ms).toBeLessThan(2_000)
      await wait(500)
    }
    redis.thaw()
    service.sandbox.setLatency(0)
    await service.ready()
    begun.push(...(await beginMany(service, { everyMs: 50, forMs: 1_000 })))
    await atRest(service, begun, 45_000)
    await eventually(30_000, async () => {
      for (const { to } of begun) expect((await service.arrived(to)).length).toBeGreaterThan(0)
    })
    for (const worker of service.workers) expect(linesOf(worker)).toBeLessThan(250)
    await expectNothingBroken(service, redis.url, begun)
  })
})
