/** Jobs that are malformed, late, failing or another version's, and what of them stays in Redis (P5, P8). */
import { type ConnectionOptions, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { jobIdOf, QUEUE_NAME, queuePrefix } from '#queue/delivery-queue.ts'
import { everythingIn } from '#test/fixtures/redis-contents.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Service } from '#test/fixtures/service.ts'
import type { Application, VerificationId } from '#verification/verification.ts'
import { begin, beginMany, expectNothingBroken } from './aftermath.ts'
import { starting } from './running.ts'
import { stage } from './stage.ts'

const eventually = <T>(timeout: number, read: () => T | Promise<T>) =>
  vi.waitFor(read, { timeout, interval: 50 })

async function running(context: TestContext, workers: Record<string, string>[] = [{}]) {
  const redis = await startOwnRedis()
  context.onTestFinished(() => redis.stop())
  const service = await starting(context, { redisUrl: redis.url, workers: 0 })
  const [worker] = await Promise.all(workers.map((env) => service.startWorker(env)))
  if (!worker) throw new Error('no worker')
  await service.ready()
  return { redis, service, worker, ...openQueue(context, service, redis.url) }
}

/** The queue as somebody else would write into it. */
function openQueue(context: TestContext, { prefix }: Service, url: string) {
  const client = new Redis(url, { maxRetriesPerRequest: null })
  const queue = new Queue(QUEUE_NAME, {
    connection: client as ConnectionOptions,
    prefix: queuePrefix(prefix),
    // Its own settings of the queue would take the place of the service's.
    skipMetasUpdate: true,
  })
  context.onTestFinished(async () => {
    await queue.close()
    client.disconnect()
  })
  const left = () => client.keys(`${queuePrefix(prefix)}:${QUEUE_NAME}:*`)
  /** Keys of the queue that hold jobs, or lists of them. */
  const jobsLeft = async () =>
    (await left()).filter((key) => !/:(meta|id|events|marker|stalled-check)$/.test(key))
  return { client, queue, jobsLeft }
}

const reference = (id: string) => ({
  application: 'default' as Application,
  verification: id as VerificationId,
  send: 1,
})

describe.concurrent('jobs', () => {
  it('that no worker can read are dropped with a line each, and the others go on', {
    timeout: 40_000,
  }, async (context) => {
    const { redis, service, queue, jobsLeft, worker } = await running(context)
    const poisons: unknown[] = [
      null,
      1,
      'x',
      {},
      [],
      'default//1',
      { to: '+12025550123' },
      'a'.repeat(100_000),
    ]
    for (const [at, data] of poisons.entries()) await queue.add('deliver', data, { jobId: `poison-${at}` })
    // One of ours by its name, of a verification there never was.
    const stranger = `default/${'0'.repeat(32)}/1`
    await queue.add('deliver', stranger, { jobId: 'poison-stranger' })
    const begun = await beginMany(service, { everyMs: 20, forMs: 400 })
    await eventually(10_000, async () => {
      for (const { id } of begun) expect(await service.delivery(id)).toBe('delivered')
    })
    await eventually(10_000, async () => expect(await jobsLeft()).toEqual([]))
    expect(worker.output().split('job dropped')).toHaveLength(poisons.length + 1)
    expect(worker.output()).not.toContain('2025550123')
    await expectNothingBroken(service, redis.url, begun)
  })

  it('added again after their send has come to rest, or after everything about it is gone, send nothing', {
    timeout: 40_000,
  }, async (context) => {
    const { redis, service, client, queue, jobsLeft } = await running(context)
    const begun = await begin(service, numberEnding())
    const gone = await begin(service, numberEnding())
    for (const { id } of [begun, gone])
      await eventually(10_000, async () => expect(await service.delivery(id)).toBe('delivered'))
    expect(await client.del(`{${service.prefix}}:default:v:${gone.id}`)).toBe(1)
    for (const { id } of [begun, gone, begun])
      await queue.add('deliver', `default/${id}/1`, { jobId: jobIdOf(reference(id)) })
    await eventually(10_000, async () => expect(await jobsLeft()).toEqual([]))
    for (const { to } of [begun, gone]) expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('of workers of two versions side by side go out once each, whoever takes them', {
    timeout: 60_000,
  }, async (context) => {
    // Another policy is another text of every script; both are known to Redis side by side.
    const other = { UNKNOWN: 'stop', CHECKS_MAX: '3' }
    const { redis, service } = await running(context, [{}, other])
    const begun = await beginMany(service, { everyMs: 20, forMs: 2_000 })
    for (const ending of ['0105', '0105', '0105', '0105'])
      begun.push(await begin(service, numberEnding(ending)))
    await eventually(20_000, async () => {
      for (const { id } of begun) expect(await service.delivery(id)).toBe('delivered')
    })
    for (const { to } of begun) expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, redis.url, begun)
  })

  it('leave nothing behind: neither done nor failed ones, and the events of a hundred', {
    timeout: 60_000,
  }, async (context) => {
    const { redis, service, client, jobsLeft } = await running(context)
    const begun = await beginMany(service, { everyMs: 5, forMs: 1_500 })
    await eventually(20_000, async () => {
      for (const { id } of begun) expect(await service.delivery(id)).toBe('delivered')
    })
    expect(await jobsLeft()).toEqual([])
    const events = await client.xlen(`${queuePrefix(service.prefix)}:${QUEUE_NAME}:events`)
    // Redis trims a stream by whole nodes.
    expect(events).toBeLessThan(300)
    await expectNothingBroken(service, redis.url, begun)
  })
})

it('a job that fails leaves no number, no code and no word of the message, and its send goes out all the same', {
  timeout: 60_000,
}, async (context) => {
  const { redis, tap, service, victim: worker } = await stage(context)
  const { client, jobsLeft } = openQueue(context, service, redis.url)
  const caught = tap.catch('claim', 'asked')
  const to = numberEnding()
  const begun = await begin(service, to)
  const claim = await caught
  await eventually(10_000, () => expect(worker.output()).toContain('a job failed'))
  expect(await jobsLeft()).toEqual([])
  claim.release()
  await eventually(30_000, async () => expect(await service.delivery(begun.id)).toBe('delivered'))
  const [code = ''] = await service.arrived(to)
  const kept = await everythingIn(client, '*')
  expect(kept).toContain('failedReason')
  for (const secret of [to.slice(1), 'Do not share', `"${code}`, 'stacktrace'])
    expect(kept).not.toContain(secret)
  for (const secret of [to.slice(1), 'Do not share']) expect(worker.output()).not.toContain(secret)
  expect(await service.arrived(to)).toHaveLength(1)
  await expectNothingBroken(service, redis.url, [begun])
})
