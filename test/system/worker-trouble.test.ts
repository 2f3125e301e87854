/** Workers killed, stopped and cut off from SignalWire, with the real SDK between (P4 to P7). */
import { describe, expect, it, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { obliging, startScriptedRelay } from '#test/fixtures/scripted-relay.ts'
import { numberEnding } from '#test/fixtures/service.ts'
import { expectIdle, expectNothingBroken } from './aftermath.ts'
import { running, starting } from './running.ts'

/** Of the stop of a worker whose provider hangs: when it gives up, and what it has then to write down what it knows. */
const DEADLINE_MS = 2_000
const WRITTEN_WITHIN_MS = 3_000

const eventually = <T>(read: () => Promise<T>, timeout = 14_000) =>
  vi.waitFor(read, { timeout, interval: 50 })

describe.concurrent('a worker', () => {
  it('told to stop with sends in flight finishes all of them and exits 0', {
    timeout: 30_000,
  }, async (context) => {
    const system = await running(context, { sandbox: { latencyMs: 1_500 } })
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
    await expectNothingBroken(system, testRedisUrl())
  })

  it('told to stop twice exits at once', { timeout: 60_000 }, async (context) => {
    const system = await running(context)
    const { body } = await system.start(numberEnding('0106'))
    await eventually(async () => expect(await system.delivery(body.id)).toBe('submitting'))
    const [worker] = system.workers
    worker?.kill('SIGTERM')
    await eventually(async () => expect(worker?.output()).toContain('stopping'))
    worker?.kill('SIGTERM')
    expect(await worker?.ended).toEqual({ code: 130, signal: null })
    // The next one finds a lost worker's attempt, asks a second time, and is not answered either.
    await (await system.startWorker()).ready()
    await eventually(async () => expect(system.sandbox.counts().sends).toBe(2), 40_000)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('unknown'))
    await expectNothingBroken(system, testRedisUrl())
  })

  it.for([
    ['stop', 1],
    ['resend', 2],
  ] as const)(
    'told to stop with a hung provider, under UNKNOWN=%s, exits in time; the send is unknown, and asked for %i times in all',
    {
      timeout: 60_000,
    },
    async ([policy, asked], context) => {
      const system = await running(context, {
        env: { SHUTDOWN_DEADLINE_SECONDS: `${DEADLINE_MS / 1_000}`, UNKNOWN: policy },
      })
      const { body } = await system.start(numberEnding('0106'))
      await eventually(async () => expect(await system.delivery(body.id)).toBe('submitting'))
      const [worker] = system.workers
      const toldAt = performance.now()
      worker?.kill('SIGTERM')
      expect((await worker?.ended)?.code).toBe(1)
      const tookMs = performance.now() - toldAt
      expect(tookMs).toBeGreaterThan(DEADLINE_MS)
      expect(tookMs).toBeLessThan(DEADLINE_MS + WRITTEN_WITHIN_MS)
      expect(await system.delivery(body.id)).toBe('unknown')
      expect(system.sandbox.counts().sends).toBe(1)

      const next = await system.startWorker()
      await next.ready()
      await eventually(async () => expect(system.sandbox.counts().sends).toBe(asked), 25_000)
      await eventually(async () => expect(await system.delivery(body.id)).toBe('unknown'), 20_000)
      const view = await system.call('GET', `/v1/verifications/${body.id}`)
      expect(view.body.sends).toMatchObject([
        { possible_duplicate: asked > 1, timeline: Array(asked).fill({ outcome: 'unknown' }) },
      ])
      await expectIdle(system, testRedisUrl())
      expect(system.sandbox.counts().sends).toBe(asked)
      await expectNothingBroken(system, testRedisUrl())
    },
  )

  it('killed between acceptance and record: the next one sends at most once more, with the same code', {
    // What it allows for the second message and for the queue's keys, one after the other.
    timeout: 90_000,
  }, async (context) => {
    const system = await running(context, { sandbox: { latencyMs: 3_000 } })
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
    await expectNothingBroken(system, testRedisUrl())
  })

  it('that is not there yet: what was stored meanwhile is sent when one comes', {
    timeout: 30_000,
  }, async (context) => {
    const system = await running(context, { workers: 0 })
    const to = numberEnding()
    const { body } = await system.start(to)
    expect(await system.delivery(body.id)).toBe('queued')
    await system.startWorker()
    expect(await system.check(body.id, await system.codeAt(to))).toMatchObject({
      body: { result: 'approved' },
    })
    expect(await system.arrived(to)).toHaveLength(1)
    await expectNothingBroken(system, testRedisUrl())
  })
})

describe.concurrent('SignalWire', () => {
  it('unreachable at start: the worker stays up, says so, and sends once it is there', {
    timeout: 40_000,
  }, async (context) => {
    const system = await running(context, { workers: 0 })
    await system.sandbox.close()
    const { url } = await system.startWorker()
    await eventually(async () => expect((await fetch(`${url}/livez`)).status).toBe(200))
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    const to = numberEnding()
    const { body } = await system.start(to)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('queued'))
    await system.sandbox.listen(system.sandboxPort)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'), 30_000)
    expect(await system.arrived(to)).toHaveLength(1)
    expect(await system.check(body.id, (await system.arrived(to))[0] ?? '')).toMatchObject({
      body: { result: 'approved' },
    })
    await expectNothingBroken(system, testRedisUrl())
  })

  it('refusing the credentials: the worker stays up and says so, nothing is sent until they are right', {
    timeout: 60_000,
  }, async (context) => {
    const system = await starting(context, {
      env: { SIGNALWIRE_PROJECT: 'p', SIGNALWIRE_TOKEN: 'wrong', SIGNALWIRE_NUMBER: '+12025550199' },
      workers: 0,
    })
    const worker = await system.startWorker({ SIGNALWIRE_RELAY_URL: `ws://127.0.0.1:${system.sandboxPort}` })
    await eventually(async () => {
      const answer = await fetch(`${worker.url}/readyz`)
      expect(answer.status).toBe(503)
      expect(await answer.text()).toContain('provider_unauthorized')
    })
    const to = numberEnding()
    const { body } = await system.start(to)
    await eventually(async () => expect(worker.output()).toContain('SignalWire refuses us: check'))
    expect((await system.call('GET', `/v1/verifications/${body.id}`)).body.delivery).toMatchObject({
      status: 'queued',
      attempts: 0,
    })
    expect(await system.arrived(to)).toEqual([])
    // With credentials that are taken it goes out, once.
    worker.kill('SIGTERM')
    expect((await worker.ended).code).toBe(0)
    await (await system.startWorker({ SIGNALWIRE_PROJECT: '', SIGNALWIRE_TOKEN: '' })).ready()
    await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'), 30_000)
    expect(await system.arrived(to)).toHaveLength(1)
    await expectNothingBroken(system, testRedisUrl())
  })

  it('refusing a message three times and then taking it: exactly one SMS', {
    timeout: 40_000,
  }, async (context) => {
    const relay = await startScriptedRelay({
      onSend: ({ reply }) => reply({ code: '429', message: 'slower' }),
    })
    context.onTestFinished(() => relay.down())
    const system = await running(context, { env: { SANDBOX_URL: relay.url } })
    const { body } = await system.start(numberEnding())
    await eventually(async () => expect(relay.sends().length).toBeGreaterThanOrEqual(3))
    const refused = relay.sends().length
    relay.script = obliging()
    await eventually(async () => expect(await system.delivery(body.id)).toBe('accepted'), 25_000)
    expect(relay.sends()).toHaveLength(refused + 1)
    await system.end()
  })

  it('cut off mid-send: the message is not sent again once its receipt has come', {
    timeout: 40_000,
  }, async (context) => {
    // Receipts come when the sandbox's table says: the worker has a connection again by then, also on a slow machine.
    const system = await running(context, { sandbox: { pace: 1 } })
    const to = numberEnding('0107')
    const { body } = await system.start(to)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'), 30_000)
    expect(await system.arrived(to)).toHaveLength(1)
    await expectNothingBroken(system, testRedisUrl())
  })
})
