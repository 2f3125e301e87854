/** SignalWire away, silent, saying things twice, restarting and flapping, with the real SDK between (P5 to P7, P9). */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { askRedis } from '#dev/redis-ask.ts'
import { NO_LIMITS } from '#test/fixtures/no-limits.ts'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { startScriptedRelay } from '#test/fixtures/scripted-relay.ts'
import { numberEnding, type Service } from '#test/fixtures/service.ts'
import { allArrived, atFullLength, atRest, begin, beginMany, expectNothingBroken } from './aftermath.ts'
import { running } from './running.ts'

const eventually = <T>(timeout: number, read: () => T | Promise<T>) =>
  vi.waitFor(read, { timeout, interval: 50 })

async function deliveryOf(service: Service, id: string) {
  const { body } = await service.call('GET', `/v1/verifications/${id}`)
  return body.delivery as unknown as { status: string; attempts: number; reason?: string }
}

/** Makes a verification so much older. */
async function age(service: Service, id: string, ms: number): Promise<void> {
  const { port, pathname } = new URL(testRedisUrl())
  const key = `{${service.prefix}}:default:v:${id}`
  const script = `redis.call('SELECT', ${pathname.slice(1) || 0}) return redis.call('HINCRBY', KEYS[1], 'expires', ${-ms})`
  expect(await askRedis(Number(port), `EVAL "${script}" 1 ${key}`)).toBeDefined()
}

describe.concurrent('SignalWire', () => {
  it('away for twenty seconds and then back: exactly one SMS, at the first try', {
    timeout: 60_000,
  }, async (context) => {
    const service = await running(context)
    await service.sandbox.close()
    const to = numberEnding()
    const begun = await begin(service, to)
    await wait(20_000)
    expect(await deliveryOf(service, begun.id)).toMatchObject({ status: 'queued', attempts: 0 })
    await service.sandbox.listen(service.sandboxPort)
    await eventually(30_000, async () =>
      expect(await deliveryOf(service, begun.id)).toMatchObject({ status: 'delivered', attempts: 1 }),
    )
    expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, testRedisUrl(), [begun])
  })

  it('away past the deadline: no SMS, not even when it is back, and the send says that it expired', {
    timeout: 60_000,
  }, async (context) => {
    const service = await running(context)
    await service.sandbox.close()
    const to = numberEnding()
    const begun = await begin(service, to)
    // The last moment to submit is a minute before the end: it comes in ten seconds.
    await age(service, begun.id, 230_000)
    await eventually(20_000, async () =>
      expect(await deliveryOf(service, begun.id)).toMatchObject({
        status: 'expired',
        reason: 'not_sent_in_time',
        attempts: 0,
      }),
    )
    const { body } = await service.call('GET', `/v1/verifications/${begun.id}`)
    expect(body.status).toBe('pending')
    await eventually(5_000, () =>
      expect(service.workers[0]?.output()).toMatch(
        /"count":1,"reason":"not_sent_in_time","msg":"ended unsent"/,
      ),
    )
    await service.sandbox.listen(service.sandboxPort)
    await service.ready()
    await eventually(30_000, async () =>
      expect((await fetch(`${service.workers[0]?.url}/readyz`)).status).toBe(200),
    )
    const next = await begin(service, numberEnding())
    await eventually(10_000, async () => expect(await service.delivery(next.id)).toBe('delivered'))
    expect(await service.arrived(to)).toEqual([])
    await expectNothingBroken(service, testRedisUrl(), [begun, next])
  })

  it('never answering: two messages may have left, the send stays unknown, and others go on', {
    timeout: 60_000,
  }, async (context) => {
    const service = await running(context)
    const begun = await begin(service, numberEnding('0106'))
    const other = await begin(service, numberEnding())
    await eventually(5_000, async () => expect(await service.delivery(other.id)).toBe('delivered'))
    await eventually(40_000, async () =>
      expect(await deliveryOf(service, begun.id)).toMatchObject({ status: 'unknown', attempts: 2 }),
    )
    expect(service.sandbox.counts().sends).toBe(3)
    await expectNothingBroken(service, testRedisUrl(), [begun, other])
  })

  it('answering everything twice, with another id, and all news twice: each send is delivered once', {
    timeout: 40_000,
  }, async (context) => {
    const relay = await startScriptedRelay({
      onSend({ reply, params }) {
        const tags = params.tags as string[]
        for (const id of ['first', 'second']) reply({ code: '200', message_id: `${id} of ${tags[0]}` })
        for (const message_state of ['sent', 'delivered', 'sent', 'delivered'])
          relay.tell({ message_id: `first of ${tags[0]}`, message_state, tags })
      },
    })
    context.onTestFinished(() => relay.down())
    const service = await running(context, { env: { SANDBOX_URL: relay.url } })
    const begun = await beginMany(service, { everyMs: 20, forMs: 400 })
    expect(begun).toHaveLength(20)
    for (const { id } of begun)
      await eventually(10_000, async () => expect(await service.delivery(id)).toBe('delivered'))
    expect(relay.sends()).toHaveLength(20)
    const { body } = await service.call('GET', `/v1/verifications/${begun[0]?.id}`)
    expect(body.sends).toMatchObject([{ provider_message_id: `first of default/${begun[0]?.id}/1` }])
    await service.end()
  })

  it('restarting under load, time and again: each send goes out once, or twice where it was unknown', {
    timeout: 60_000,
  }, async (context) => {
    const service = await running(context, { workers: 2, env: NO_LIMITS })
    const traffic = beginMany(service, { everyMs: 50, forMs: 8_000 })
    for (let restart = 0; restart < 4; restart++) {
      await wait(2_000)
      service.sandbox.restart()
    }
    const begun = await traffic
    expect(begun.length).toBe(160)
    await atRest(service, begun, 40_000)
    await allArrived(service, begun, 30_000)
    await expectNothingBroken(service, testRedisUrl(), begun)
  })

  it('cut off again and again under load: each send goes out once, or twice where it was unknown', {
    timeout: 150_000,
  }, async (context) => {
    // Every 5 s for a minute; the outages of the test are as many, and closer.
    const [everyMs, forMs] = atFullLength ? [5_000, 60_000] : [1_500, 18_000]
    const service = await running(context, { workers: 2, env: NO_LIMITS })
    const traffic = beginMany(service, { everyMs: 100, forMs })
    for (let cut = 0; cut < forMs / everyMs; cut++) {
      await wait(everyMs)
      service.sandbox.dropConnections()
    }
    const begun = await traffic
    expect(begun.length).toBe(forMs / 100)
    await atRest(service, begun, 60_000)
    await allArrived(service, begun, 30_000)
    await expectNothingBroken(service, testRedisUrl(), begun)
  })
})
