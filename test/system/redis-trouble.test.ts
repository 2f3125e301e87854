/** Redis away, frozen, killed and back, under the programs as they run (P9). */
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Service } from '#test/fixtures/service.ts'
import { atRest, expectIdle, expectNothingBroken } from './aftermath.ts'
import { starting } from './running.ts'

async function alone({ onTestFinished }: TestContext) {
  const redis = await startOwnRedis()
  onTestFinished(() => redis.stop())
  return redis
}

const eventually = <T>(read: () => Promise<T>, timeout = 14_000) =>
  vi.waitFor(read, { timeout, interval: 50 })

/**
 * A job that a worker had just taken when Redis died stays in its hands, by the queue's reckoning, until its lock runs
 * out (15 s) and the next look for stalled jobs (every 5 s); then its send goes on.
 */
const STALLED_JOB_MS = 25_000

async function expectServiceUnavailable(running: Service, id: unknown): Promise<void> {
  const calls = [
    running.start(numberEnding()),
    running.check(id, '123456'),
    running.call('GET', `/v1/verifications/${id}`),
    running.call('POST', `/v1/verifications/${id}/sends`),
    running.call('DELETE', `/v1/verifications/${id}`),
    running.call('POST', '/v1/checks', { to: numberEnding(), code: '123456' }),
  ]
  for (const answer of await Promise.all(calls)) {
    expect(answer).toMatchObject({ status: 503, body: { code: 'service_unavailable' } })
    expect(answer.ms).toBeLessThan(2_000)
  }
}

describe.concurrent('Redis', () => {
  it('down at start: the programs stay up, are not ready, and recover by themselves', {
    timeout: 40_000,
  }, async (context) => {
    const redis = await alone(context)
    await redis.kill()
    const running = await starting(context, { redisUrl: redis.url })
    const api = running.apis[0]?.url
    const worker = running.workers[0]?.url
    await eventually(async () => expect((await fetch(`${api}/livez`)).status).toBe(200))
    await eventually(async () => expect((await fetch(`${worker}/livez`)).status).toBe(200))
    expect((await fetch(`${api}/readyz`)).status).toBe(503)
    expect((await fetch(`${worker}/readyz`)).status).toBe(503)
    await expectServiceUnavailable(running, '00000000000000000000000000000000')
    await redis.restart()
    await running.ready()
    const to = numberEnding()
    const { body } = await running.start(to)
    expect(await running.check(body.id, await running.codeAt(to))).toMatchObject({
      body: { result: 'approved' },
    })
    await expectNothingBroken(running, redis.url)
  })

  it('killed and back: refusals within two seconds, then what was pending goes on', {
    timeout: 40_000,
  }, async (context) => {
    const redis = await alone(context)
    const service = await starting(context, { redisUrl: redis.url })
    await service.ready()
    const to = numberEnding()
    const { body } = await service.start(to)
    const code = await service.codeAt(to)
    // The append-only file is written once a second; what is older survives the kill.
    await eventually(async () =>
      expect(Date.now() - Date.parse(String(body.created_at))).toBeGreaterThan(1_500),
    )
    await redis.kill()
    await expectServiceUnavailable(service, body.id)
    await redis.restart()
    await service.ready()
    expect(await service.check(body.id, code)).toMatchObject({ body: { result: 'approved' } })
    expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, redis.url)
  })

  it('frozen for a while: refusals within two seconds, no crash, nothing sent twice', {
    timeout: 40_000,
  }, async (context) => {
    const redis = await alone(context)
    const service = await starting(context, { redisUrl: redis.url })
    await service.ready()
    const to = numberEnding()
    const { body } = await service.start(to)
    const code = await service.codeAt(to)
    redis.freeze()
    await expectServiceUnavailable(service, body.id)
    redis.thaw()
    await service.ready()
    expect(await service.check(body.id, code, { key: 'after-the-frost' })).toMatchObject({
      body: { result: 'approved' },
    })
    expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, redis.url)
  })

  it('frozen while a send is accepted, and its worker killed before it is recorded: one more at most, same code', {
    timeout: 60_000,
  }, async (context) => {
    const redis = await alone(context)
    const running = await starting(context, { redisUrl: redis.url })
    await running.ready()
    running.sandbox.setLatency(300)
    const to = numberEnding('0111')
    const { body } = await running.start(to)
    await eventually(async () => expect(await running.delivery(body.id)).toBe('submitting'))
    redis.freeze()
    await eventually(async () => expect(await running.arrived(to)).toHaveLength(1))
    running.workers[0]?.kill('SIGKILL')
    await running.workers[0]?.ended
    redis.thaw()
    await running.startWorker()
    await eventually(
      async () => expect(await running.delivery(body.id)).toBe('accepted'),
      STALLED_JOB_MS + 15_000,
    )
    const codes = await running.arrived(to)
    expect(codes).toHaveLength(2)
    expect(new Set(codes).size).toBe(1)
    const view = await running.call('GET', `/v1/verifications/${body.id}`)
    expect(view.body.sends).toMatchObject([{ possible_duplicate: true }])
    await expectNothingBroken(running, redis.url)
  })

  it('killed and back under traffic: every 202 is delivered once or ends visibly', {
    timeout: 60_000,
  }, async (context) => {
    const redis = await alone(context)
    const running = await starting(context, { redisUrl: redis.url, workers: 2 })
    await running.ready()
    const statuses = new Set<number>()
    async function traffic(rounds: number): Promise<void> {
      for (let round = 0; round < rounds; round++) statuses.add((await running.start(numberEnding())).status)
    }
    await traffic(60)
    await Promise.all([traffic(30), redis.kill()])
    await redis.restart()
    await running.ready()
    await traffic(60)
    expect([...statuses].sort()).toEqual([202, 503])
    expect(running.begun().length).toBeGreaterThan(100)
    await atRest(running, running.begun(), STALLED_JOB_MS)
    await expectIdle(running, redis.url)
    await expectNothingBroken(running, redis.url)
  })
})
