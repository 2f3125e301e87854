/** The sweeper's one step, with a real ledger and a real queue. */
import type { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { createDeliveryQueue, jobIdOf, queuePrefix } from '#queue/delivery-queue.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { connectForQueue } from '#runtime/redis.ts'
import type { Deliveries } from '#store/deliveries.ts'
import { StoreFault } from '#store/script.ts'
import { silentLog, testRedisUrl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Application } from '#verification/verification.ts'
import { createSweeper } from '#worker/sweeper.ts'

const connection = useRedis()
const closers: (() => Promise<void>)[] = []

async function sweeping(overrides = {}) {
  const store = storeOn(connection.redis, { sweepAfterMs: 0, ...overrides })
  await store.deliveries.seeApplications([APPLICATION], Date.now())
  const queueRedis: Redis = connectForQueue(testRedisUrl(), silentLog)
  await new Promise<void>((resolve) => queueRedis.once('ready', () => resolve()))
  const queue = createDeliveryQueue({ connection: queueRedis, prefix: store.prefix })
  const sweeper = createSweeper({ deliveries: store.deliveries, queue, log: silentLog })
  closers.push(async () => {
    await sweeper.stop()
    await queue.close()
    queueRedis.disconnect()
  })
  return { ...store, queue, sweeper }
}

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

describe('a sweep', () => {
  it('brings a stored send to the queue under its own job id, with ids only', async () => {
    const { sweeper, start, prefix, codeFor } = await sweeping()
    const destination = freshDestination()
    const { id } = await start(destination)
    const code = await codeFor(id)
    await expect.poll(() => sweeper.step().then(() => connection.redis.exists(jobKey(prefix, id)))).toBe(1)
    const job = JSON.stringify(await connection.redis.hgetall(jobKey(prefix, id)))
    expect(job).not.toContain(code)
    expect(job).not.toContain(destination.slice(1))
    expect(JSON.parse((await connection.redis.hget(jobKey(prefix, id), 'data')) ?? '')).toBe(
      `${APPLICATION}/${id}/1`,
    )
  })

  it('brings it once, however often it looks', async () => {
    const { sweeper, start, queue } = await sweeping()
    await start(freshDestination())
    for (let step = 0; step < 3; step++) await sweeper.step()
    expect(await queue.backlog()).toBe(1)
  })

  it('takes rest when everything due has been looked at, and goes on at once when not', async () => {
    const { sweeper, start } = await sweeping({ sendLimits: [], rules: [] })
    expect(await sweeper.step()).toBe('rest')
    await Promise.all(Array.from({ length: 100 }, () => start(freshDestination())))
    await expect.poll(() => sweeper.step()).toBe('more')
  })
})

describe('a sweep that stumbles over one application', () => {
  const other = 'another' as Application

  /** `another` comes first, and looking at it fails. */
  async function stumbling(error: Error) {
    const swept = await sweeping()
    await swept.deliveries.seeApplications([other], Date.now() - 1)
    const lines: (LogFields & { level: string; msg: string })[] = []
    const keep = (level: string) => (fields: LogFields, msg: string) =>
      void lines.push({ ...fields, level, msg })
    const log: Log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
    const sweep: Deliveries['sweep'] = (application, count) =>
      application === other ? Promise.reject(error) : swept.deliveries.sweep(application, count)
    const sweeper = createSweeper({ deliveries: { ...swept.deliveries, sweep }, queue: swept.queue, log })
    return { ...swept, sweeper, lines }
  }

  it.each([new TypeError('a mistake'), new StoreFault('Redis was slow')])(
    '(%s) looks at all others',
    async (error) => {
      const { sweeper, start, queue } = await stumbling(error)
      await start(freshDestination())
      await sweeper.step()
      expect(await queue.backlog()).toBe(1)
    },
  )

  it('says so at error with where it happened and nothing of the message, once, not once a second', async () => {
    const { sweeper, lines } = await stumbling(new TypeError('a mistake about +12025550123'))
    for (let step = 0; step < 3; step++) await sweeper.step()
    expect(lines).toMatchObject([
      { level: 'error', msg: 'sweep put off', application: other, fault: 'TypeError' },
    ])
    expect(lines[0]?.stack).toMatch(/^ +at .*sweeper/)
    expect(JSON.stringify(lines)).not.toContain('+1202')
  })

  it('over Redis, leaves it to the connection to say so', async () => {
    const { sweeper, lines } = await stumbling(new StoreFault('Redis is away', { cause: new RangeError() }))
    await sweeper.step()
    expect(lines).toMatchObject([{ level: 'debug', msg: 'sweep put off', fault: 'RangeError' }])
  })
})

function jobKey(prefix: string, id: string): string {
  return `${queuePrefix(prefix)}:deliveries:${jobIdOf({ application: APPLICATION, verification: id as never, send: 1 })}`
}
