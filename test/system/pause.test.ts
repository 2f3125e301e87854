/** A worker that cannot send leaves its jobs to who can, and takes them again at once when it is well (P4 to P7, P9). */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { freePort } from '#dev/ports.ts'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { startScriptedRelay } from '#test/fixtures/scripted-relay.ts'
import { numberEnding, type Program, type Service } from '#test/fixtures/service.ts'
import { type Begun, begin, beginMany, expectNothingBroken } from './aftermath.ts'
import { running, starting } from './running.ts'

const eventually = <T>(timeout: number, read: () => T | Promise<T>) =>
  vi.waitFor(read, { timeout, interval: 50 })

const readiness = async (worker?: Program) => (await fetch(`${worker?.url}/readyz`)).text()

const saysOf = (worker: Program | undefined, what: string) =>
  eventually(10_000, () => expect(worker?.output()).toContain(what))

async function deliveryOf(service: Service, { id }: Pick<Begun, 'id'>) {
  const { body } = await service.call('GET', `/v1/verifications/${id}`)
  return body.delivery as unknown as { status: string; attempts: number; reason?: string }
}

const nowhere = async () => `ws://127.0.0.1:${await freePort()}`

describe.concurrent('a worker none of whose providers can send', () => {
  it('leaves all to one beside it, whatever is wrong with its own', { timeout: 60_000 }, async (context) => {
    const service = await running(context)
    const gone = await nowhere()
    const there = `ws://127.0.0.1:${service.sandboxPort}`
    const refused = { SIGNALWIRE_PROJECT: 'p', SIGNALWIRE_TOKEN: 'wrong', SIGNALWIRE_RELAY_URL: there }
    const victims = await Promise.all([
      service.startWorker({ PROVIDERS: 'relay', SANDBOX_URL: gone }),
      service.startWorker({ PROVIDERS: 'relay,rest', SANDBOX_URL: gone }),
      service.startWorker({ PROVIDERS: 'relay', ...refused }),
    ])
    const states = ['provider_unreachable', 'provider_unreachable', 'provider_unauthorized']
    const expectStates = async () => {
      for (const [index, victim] of victims.entries())
        expect(await readiness(victim)).toContain(states[index])
    }
    await eventually(20_000, expectStates)
    const begun = await beginMany(service, { everyMs: 25, forMs: 1_500 })
    expect(begun).toHaveLength(60)
    await eventually(20_000, async () => {
      for (const view of await Promise.all(begun.map((one) => deliveryOf(service, one))))
        expect(view).toMatchObject({ status: 'delivered', attempts: 1 })
    })
    for (const victim of victims) expect(victim.output()).not.toContain('"msg":"attempt"')
    await expectStates()
    await expectNothingBroken(service, testRedisUrl(), begun)
  })

  it('any more, in the middle of traffic, leaves the rest to one beside it', {
    timeout: 60_000,
  }, async (context) => {
    const relay = await startScriptedRelay()
    context.onTestFinished(() => relay.down())
    const service = await running(context)
    const victim = await service.startWorker({ SANDBOX_URL: relay.url })
    await victim.ready()
    const traffic = beginMany(service, { everyMs: 25, forMs: 3_000 })
    await eventually(10_000, () => expect(relay.sends().length).toBeGreaterThan(10))
    await relay.down()
    const begun = await traffic
    expect(begun).toHaveLength(120)
    const views = await eventually(20_000, async () => {
      const all = await Promise.all(begun.map((one) => deliveryOf(service, one)))
      for (const { status } of all) expect(status).toMatch(/^(accepted|delivered)$/)
      return all
    })
    const attempts = views.reduce((sum, view) => sum + view.attempts, 0)
    // But for what was between its claim and its provider at that moment.
    expect(attempts).toBeLessThanOrEqual(begun.length + 3)
    await service.end()
  })

  it('tries nothing while it is alone, and within a second of being well sends it all, the freshest first', {
    timeout: 60_000,
  }, async (context) => {
    const service = await running(context, { env: { SIGNALWIRE_NUMBER: '+12025550199:2' } })
    const [worker] = service.workers
    await service.sandbox.close()
    await saysOf(worker, '"result":"paused"')
    const begun = await beginMany(service, { everyMs: 500, forMs: 4_000 })
    expect(begun).toHaveLength(8)
    for (const one of begun)
      expect(await deliveryOf(service, one)).toMatchObject({ status: 'queued', attempts: 0 })
    await service.sandbox.listen(service.sandboxPort)
    await eventually(20_000, async () => expect(await readiness(worker)).toBe('{"status":"ready"}'))
    const wellAt = performance.now()
    await eventually(5_000, () => expect(service.sandbox.messages().length).toBeGreaterThan(0))
    expect(performance.now() - wellAt).toBeLessThan(1_000)
    await eventually(15_000, () => expect(service.sandbox.messages()).toHaveLength(8))
    // As many as may leave at once do: they are those who asked last.
    const freshest = begun.slice(-2).map(({ to }) => to)
    const first = [...service.sandbox.messages()].sort((one, other) => one.seq - other.seq).slice(0, 2)
    expect(first.map(({ to }) => to).sort()).toEqual(freshest.sort())
    for (const one of begun)
      await eventually(10_000, async () =>
        expect(await deliveryOf(service, one)).toMatchObject({ status: 'delivered', attempts: 1 }),
      )
    await expectNothingBroken(service, testRedisUrl(), begun)
  })

  it('through an outage of Redis sends what waited once both are back', {
    timeout: 60_000,
  }, async (context) => {
    const redis = await startOwnRedis()
    context.onTestFinished(() => redis.stop())
    const service = await running(context, { redisUrl: redis.url })
    const [worker] = service.workers
    await service.sandbox.close()
    await saysOf(worker, '"result":"unreachable"')
    const begun = await begin(service, numberEnding())
    await redis.kill()
    await wait(1_000)
    await service.sandbox.listen(service.sandboxPort)
    await eventually(20_000, () =>
      expect(worker?.output()).toMatch(/"result":"unreachable".*"result":"ready"/s),
    )
    await redis.restart()
    await eventually(20_000, async () =>
      expect(await deliveryOf(service, begun)).toMatchObject({ status: 'delivered', attempts: 1 }),
    )
    await expectNothingBroken(service, redis.url)
  })

  it('told to stop exits at once', { timeout: 30_000 }, async (context) => {
    const service = await starting(context, { workers: 0 })
    const worker = await service.startWorker({ SANDBOX_URL: await nowhere() })
    await eventually(10_000, async () => expect(await readiness(worker)).toContain('provider_unreachable'))
    await begin(service, numberEnding())
    await saysOf(worker, '"result":"paused"')
    const toldAt = performance.now()
    worker.kill('SIGTERM')
    expect(await worker.ended).toEqual({ code: 0, signal: null })
    expect(performance.now() - toldAt).toBeLessThan(2_000)
  })

  it('because a token is being rotated sends a few seconds after the new one is taken, and says what is wrong', {
    timeout: 60_000,
  }, async (context) => {
    const service = await running(context)
    const [worker] = service.workers
    service.sandbox.setTrouble('unauthorized')
    service.sandbox.dropConnections()
    await eventually(10_000, async () => expect(await readiness(worker)).toContain('provider_unauthorized'))
    const begun = await begin(service, numberEnding())
    await wait(5_000)
    expect(await deliveryOf(service, begun)).toMatchObject({ status: 'queued', attempts: 0 })
    service.sandbox.setTrouble(undefined)
    // The longest wait between two tries, and a new connection.
    await eventually(5_000 + 2_000, async () => expect(await service.arrived(begun.to)).toHaveLength(1))
    expect(worker?.output().match(/check SIGNALWIRE_PROJECT/g)).toHaveLength(1)
    await expectNothingBroken(service, testRedisUrl())
  })
})

describe.concurrent('a worker one of whose providers can send', () => {
  it('makes calls and sends SMS over REST while the websocket is away', {
    timeout: 40_000,
  }, async (context) => {
    const service = await starting(context, {
      callbacks: true,
      workers: 0,
      env: { PROVIDERS: 'relay,rest' },
    })
    const rest = `http://127.0.0.1:${service.sandboxPort}`
    const worker = await service.startWorker({ SANDBOX_URL: await nowhere(), SIGNALWIRE_REST_URL: rest })
    await worker.ready()
    const call = await service.call('POST', '/v1/verifications', { to: numberEnding(), channel: 'call' })
    const sms = await begin(service, numberEnding())
    for (const id of [call.body.id, sms.id])
      await eventually(10_000, async () =>
        expect(await deliveryOf(service, { id: String(id) })).toMatchObject({
          status: 'delivered',
          attempts: 1,
        }),
      )
    await service.end()
  })

  it('sends SMS over the websocket while REST is away and calls wait', {
    timeout: 40_000,
  }, async (context) => {
    const rest = (await nowhere()).replace('ws', 'http')
    const service = await running(context, { env: { PROVIDERS: 'relay,rest', SIGNALWIRE_REST_URL: rest } })
    const call = await service.call('POST', '/v1/verifications', { to: numberEnding(), channel: 'call' })
    await eventually(5_000, async () =>
      expect(await deliveryOf(service, { id: String(call.body.id) })).toMatchObject({
        reason: 'not_connected',
      }),
    )
    const begun = await beginMany(service, { everyMs: 50, forMs: 1_000 })
    await eventually(10_000, async () => {
      for (const view of await Promise.all(begun.map((one) => deliveryOf(service, one))))
        expect(view).toMatchObject({ status: 'delivered', attempts: 1 })
    })
    expect((await deliveryOf(service, { id: String(call.body.id) })).status).toBe('queued')
    // Only before its first connection.
    expect(service.workers[0]?.output().match(/"result":"paused"/g)).toHaveLength(1)
    await service.end()
  })

  it('whose websocket is cut for a moment with messages in hand goes on over it as soon as it is back', {
    timeout: 60_000,
  }, async (context) => {
    const rest = (await nowhere()).replace('ws', 'http')
    const service = await running(context, {
      sandbox: { latencyMs: 1_000 },
      env: { PROVIDERS: 'relay,rest', SIGNALWIRE_REST_URL: rest },
    })
    const [worker] = service.workers
    const inHand = await Promise.all(Array.from({ length: 10 }, () => begin(service, numberEnding())))
    await eventually(5_000, async () => {
      const views = await Promise.all(inHand.map((one) => deliveryOf(service, one)))
      expect(views.map(({ status }) => status)).toEqual(Array(10).fill('submitting'))
    })
    await service.sandbox.close()
    await wait(300)
    await service.sandbox.listen(service.sandboxPort)
    const next = await begin(service, numberEnding())
    await eventually(5_000, async () =>
      expect(await deliveryOf(service, next)).toMatchObject({ status: 'delivered', attempts: 1 }),
    )
    expect(worker?.output()).not.toContain('breaker_open')
    expect(worker?.output()).not.toMatch(/"attempt".*"provider":"failover"/)
    await expectNothingBroken(service, testRedisUrl(), [next])
  })

  it('that refuses everything is left alone, gets a message to try, and then all that waited', {
    timeout: 60_000,
  }, async (context) => {
    const broken = ({ reply }: { reply(result: object): void }) => reply({ code: '500', message: 'broken' })
    const relay = await startScriptedRelay({ onSend: broken })
    context.onTestFinished(() => relay.down())
    const rest = (await nowhere()).replace('ws', 'http')
    const service = await running(context, {
      env: { PROVIDERS: 'relay,rest', SANDBOX_URL: relay.url, SIGNALWIRE_REST_URL: rest },
    })
    const [worker] = service.workers
    const traffic = beginMany(service, { everyMs: 300, forMs: 9_000 })
    await saysOf(worker, 'breaker_open')
    const refused = relay.sends().length
    await wait(2_000)
    expect(relay.sends()).toHaveLength(refused)
    let taken = 0
    relay.script.onSend = ({ reply }) => reply({ code: '200', message_id: `m-${++taken}` })
    const begun = await traffic
    for (const one of begun)
      await eventually(25_000, async () => expect(await service.delivery(one.id)).toBe('accepted'))
    expect(taken).toBe(begun.length)
    await service.end()
  })
})
