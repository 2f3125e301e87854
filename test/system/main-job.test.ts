/** The whole way with real processes: ask for a code, get the SMS, check it; and every scenario of the sandbox. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { numberEnding, type Service, startService } from '#test/fixtures/service.ts'
import { expectIdle, expectNothingBroken } from './aftermath.ts'

let service: Service

beforeAll(async () => {
  service = await startService({ redisUrl: testRedisUrl(), apis: 2, workers: 2, env: { LOG_LEVEL: 'debug' } })
  await service.ready()
})
afterAll(() => service.stop())

const finally_ = <T>(read: () => Promise<T>, timeout = 14_000) => vi.waitFor(read, { timeout, interval: 50 })

describe('a verification', () => {
  it('is started, delivered and approved', async () => {
    const to = numberEnding()
    const started = await service.start(to)
    expect(started).toMatchObject({
      status: 202,
      body: { status: 'pending', delivery: { status: 'queued' } },
    })
    const code = await service.codeAt(to)
    expect(await service.check(started.body.id, code)).toMatchObject({
      status: 200,
      body: { result: 'approved' },
    })
    await finally_(async () => expect(await service.delivery(started.body.id)).toBe('delivered'))
  })

  it('started at one api is checked at another', async () => {
    const to = numberEnding()
    const { body } = await service.start(to, { api: 0 })
    const code = await service.codeAt(to)
    const [here, there] = await Promise.all([
      service.check(body.id, code, { api: 0 }),
      service.check(body.id, code, { api: 1 }),
    ])
    expect([here.body.result, there.body.result].sort()).toEqual(['already_used', 'approved'])
  })

  it('of the guide’s routes is sent and validated with its exact texts', async () => {
    const to = numberEnding()
    const post = async (path: string, fields: Record<string, string>) => {
      const response = await fetch(`${service.apis[0]?.url}${path}`, {
        method: 'POST',
        body: new URLSearchParams(fields),
      })
      return [response.status, await response.text()]
    }
    expect(await post('/request-auth', { number: to })).toEqual([200, 'Your code was sent'])
    const code = await service.codeAt(to)
    const wrong = code === '000000' ? '000001' : '000000'
    expect(await post('/validate-auth', { number: to, auth_code: wrong })).toEqual([403, 'Forbidden'])
    expect(await post('/validate-auth', { number: to, auth_code: code })).toEqual([200, 'Success!'])
    expect(await post('/validate-auth', { number: to, auth_code: code })).toEqual([403, 'Forbidden'])
  })

  it('canceled before its SMS was sent never sends one', async () => {
    service.sandbox.setLatency(0)
    const to = numberEnding('0105')
    const { body } = await service.start(to)
    await finally_(async () =>
      expect((await service.call('GET', `/v1/verifications/${body.id}`)).body.delivery).toMatchObject({
        attempts: 1,
      }),
    )
    expect((await service.call('DELETE', `/v1/verifications/${body.id}`)).status).toBe(204)
    await finally_(async () => expect(await service.delivery(body.id)).toBe('canceled'))
    expect(await service.arrived(to)).toEqual([])
  })
})

describe('a hundred verifications at once on two apis and two workers', () => {
  it('bring one SMS each and are approved once each', async () => {
    const numbers = Array.from({ length: 100 }, () => numberEnding())
    const started = await Promise.all(numbers.map((to, index) => service.start(to, { api: index % 2 })))
    expect(started.every(({ status }) => status === 202)).toBe(true)
    const codes = await Promise.all(numbers.map((to) => service.codeAt(to)))
    const checked = await Promise.all(
      started.map(({ body }, index) => service.check(body.id, codes[index] ?? '')),
    )
    expect(checked.map(({ body }) => body.result)).toEqual(Array(100).fill('approved'))
    for (const to of numbers) expect(await service.arrived(to)).toHaveLength(1)
  })
})

/** What the ledger and the phone say in the end, per scenario of the sandbox. */
describe.concurrent('a destination ending in', () => {
  it.each([
    ['0100', 'delivered', 1],
    ['0102', 'undelivered', 1],
    ['0103', 'failed', 1],
    ['0104', 'rejected', 0],
    ['0105', 'delivered', 1],
    ['0108', 'delivered', 1],
    ['0111', 'accepted', 1],
    ['0113', 'delivered', 1],
    ['0109', 'delivered', 1],
    ['0107', 'delivered', 1],
  ])('%s ends %s with %i SMS', { timeout: 30_000 }, async (ending, state, count) => {
    const to = numberEnding(ending)
    const { body } = await service.start(to)
    await finally_(async () => expect(await service.delivery(body.id)).toBe(state), 25_000)
    expect(await service.arrived(to)).toHaveLength(count)
  })
})

describe('what the programs wrote, at every level and after all of the above,', () => {
  it('holds no code, no whole number and no text of a message', () => {
    const written = [...service.apis, ...service.workers].map((program) => program.output()).join('\n')
    // Ids and times are long runs of digits of their own.
    const lines = written.replace(/[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|"time":\d+/g, '')
    const messages = service.sandbox.messages()
    expect(messages.length).toBeGreaterThan(100)
    expect(lines.split('\n').length).toBeGreaterThan(500)
    for (const { to, body } of messages) {
      expect(lines).not.toContain(to.slice(1))
      expect(lines).not.toContain(body.slice(0, 6))
    }
    expect(lines).not.toContain('Do not share')
  })
})

it('after all of the above no promise is broken, and nothing is left', { timeout: 60_000 }, async () => {
  expect(service.begun().length).toBeGreaterThan(110)
  await expectIdle(service, testRedisUrl())
  await expectNothingBroken(service, testRedisUrl())
})
