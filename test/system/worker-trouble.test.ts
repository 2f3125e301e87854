/** Workers killed, stopped and cut off from SignalWire, with the real SDK between (P4 to P7). */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { numberEnding, type Service, startService } from '#test/fixtures/service.ts'

let service: Service | undefined

afterEach(async () => {
  await service?.stop()
  service = undefined
})

const eventually = <T>(read: () => Promise<T>, timeout = 14_000) =>
  vi.waitFor(read, { timeout, interval: 50 })

async function running(options: Omit<Parameters<typeof startService>[0], 'redisUrl'> = {}): Promise<Service> {
  service = await startService({ redisUrl: testRedisUrl(), ...options })
  await service.ready()
  return service
}

describe('a worker', () => {
  it('told to stop with sends in flight finishes all of them and exits 0', { timeout: 30_000 }, async () => {
    const system = await running({ sandbox: { latencyMs: 1_500 } })
    const numbers = Array.from({ length: 20 }, () => numberEnding())
    const started = await Promise.all(numbers.map((to) => system.start(to)))
    await eventually(async () => {
      const views = await Promise.all(started.map(({ body }) => system.delivery(body.id)))
      expect(views).toEqual(Array(20).fill('submitting'))
    })
    const [worker] = system.workers
    worker?.kill('SIGTERM')
    expect(await worker?.ended).toEqual({ code: 0, signal: null })
    for (const { body } of started)
      expect(['accepted', 'delivered']).toContain(await system.delivery(body.id))
    for (const to of numbers) expect(await system.arrived(to)).toHaveLength(1)
  })

  it('told to stop twice exits at once', async () => {
    const system = await running()
    const { body } = await system.start(numberEnding('0106'))
    await eventually(async () => expect(await system.delivery(body.id)).toBe('submitting'))
    const [worker] = system.workers
    worker?.kill('SIGTERM')
    await eventually(async () => expect(worker?.output()).toContain('stopping'))
    worker?.kill('SIGTERM')
    expect(await worker?.ended).toEqual({ code: 130, signal: null })
  })

  it('told to stop with a hung provider exits in time and the send is unknown', {
    timeout: 30_000,
  }, async () => {
    const system = await running({ env: { SHUTDOWN_DEADLINE_SECONDS: '1', UNKNOWN: 'stop' } })
    const { body } = await system.start(numberEnding('0106'))
    await eventually(async () => expect(await system.delivery(body.id)).toBe('submitting'))
    const [worker] = system.workers
    worker?.kill('SIGTERM')
    expect((await worker?.ended)?.code).toBe(1)
    expect(await system.delivery(body.id)).toBe('unknown')
  })

  it('killed between acceptance and record: the next one sends at most once more, with the same code', {
    timeout: 60_000,
  }, async () => {
    const system = await running({ sandbox: { latencyMs: 3_000 } })
    const to = numberEnding('0111')
    const { body } = await system.start(to)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('submitting'))
    system.workers[0]?.kill('SIGKILL')
    await system.workers[0]?.ended
    system.sandbox.setLatency(0)
    const next = await system.startWorker()
    await next.ready()
    await eventually(async () => expect(await system.delivery(body.id)).toBe('accepted'), 40_000)
    const codes = await system.arrived(to)
    expect(codes.length).toBeGreaterThanOrEqual(1)
    expect(codes.length).toBeLessThanOrEqual(2)
    expect(new Set(codes).size).toBe(1)
    expect(await system.check(body.id, codes[0] ?? '')).toMatchObject({ body: { result: 'approved' } })
  })

  it('that is not there yet: what was stored meanwhile is sent when one comes', {
    timeout: 30_000,
  }, async () => {
    const system = await running({ workers: 0 })
    const to = numberEnding()
    const { body } = await system.start(to)
    expect(await system.delivery(body.id)).toBe('queued')
    await system.startWorker()
    expect(await system.check(body.id, await system.codeAt(to))).toMatchObject({
      body: { result: 'approved' },
    })
    expect(await system.arrived(to)).toHaveLength(1)
  })
})

describe('SignalWire', () => {
  it('unreachable at start: the worker stays up, says so, and sends once it is there', {
    timeout: 40_000,
  }, async () => {
    service = await startService({ redisUrl: testRedisUrl() })
    const system = service
    await system.sandbox.close()
    const worker = system.workers[0]?.url
    await eventually(async () => expect((await fetch(`${worker}/readyz`)).status).toBe(503))
    await system.apis[0]?.ready()
    const to = numberEnding()
    const { body } = await system.start(to)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('queued'))
    await system.sandbox.listen(system.sandboxPort)
    await eventually(async () => expect(await system.arrived(to)).toHaveLength(1), 30_000)
    expect(await system.check(body.id, (await system.arrived(to))[0] ?? '')).toMatchObject({
      body: { result: 'approved' },
    })
  })

  it('refusing the credentials: the worker stays up and says so, nothing is sent', {
    timeout: 30_000,
  }, async () => {
    service = await startService({
      redisUrl: testRedisUrl(),
      env: { SIGNALWIRE_PROJECT: 'p', SIGNALWIRE_TOKEN: 'wrong', SIGNALWIRE_NUMBER: '+12025550199' },
      workers: 0,
    })
    const system = service
    const worker = await system.startWorker({ SIGNALWIRE_RELAY_URL: `ws://127.0.0.1:${system.sandboxPort}` })
    await eventually(async () => {
      const answer = await fetch(`${worker.url}/readyz`)
      expect(answer.status).toBe(503)
      expect(await answer.text()).toContain('provider_unauthorized')
    })
    const to = numberEnding()
    const { body } = await system.start(to)
    await eventually(async () =>
      expect((await system.call('GET', `/v1/verifications/${body.id}`)).body.delivery).toMatchObject({
        status: 'queued',
        reason: 'credentials_refused',
      }),
    )
    expect(await system.arrived(to)).toEqual([])
  })

  it('away for three attempts and then back: exactly one SMS', { timeout: 40_000 }, async () => {
    const system = await running()
    await system.sandbox.close()
    const to = numberEnding()
    const { body } = await system.start(to)
    const attempts = async () => {
      const { body: view } = await system.call('GET', `/v1/verifications/${body.id}`)
      return (view.delivery as { attempts: number } | undefined)?.attempts ?? 0
    }
    await eventually(async () => expect(await attempts()).toBeGreaterThanOrEqual(3))
    await system.sandbox.listen(system.sandboxPort)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'), 25_000)
    expect(await system.arrived(to)).toHaveLength(1)
  })

  it('cut off mid-send: the message is not sent again once its receipt has come', {
    timeout: 40_000,
  }, async () => {
    const system = await running()
    const to = numberEnding('0107')
    const { body } = await system.start(to)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'), 30_000)
    expect(await system.arrived(to)).toHaveLength(1)
  })
})
