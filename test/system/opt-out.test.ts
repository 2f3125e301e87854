/** The whole way with real processes: a person answers STOP, gets one confirmation and no code, and comes back by START. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Service, startService } from '#test/fixtures/service.ts'

const SENDER = '+12025550199'
const env = { LOG_LEVEL: 'debug', BRAND_NAME: 'Example', SUPPORT_CONTACT: 'help@example.com' }

let service: Service
beforeAll(async () => {
  service = await startService({ redisUrl: testRedisUrl(), workers: 2, env })
  await service.ready()
})
afterAll(() => service.stop())

const soon = <T>(read: () => T | Promise<T>) => vi.waitFor(read, { timeout: 10_000, interval: 20 })
const bodies = (to: string) => service.sandbox.messages(to).map(({ body }) => body)

/** A person writes, over the same call that tests of others use. */
async function say(from: string, body: string, { sandboxPort } = service): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${sandboxPort}/api/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ from, to: SENDER, body }),
  })
  expect(await response.json()).toMatchObject({ state: 'delivered' })
}

describe('a person who answers STOP', () => {
  it('gets one confirmation and no code, checks what was sent before, and comes back by START', async () => {
    const to = numberEnding()
    const { body } = await service.start(to)
    const code = await service.codeAt(to)

    await say(to, 'Stop please')
    const stopped = 'Example: You have opted out and will get no more messages. Reply START to opt in again.'
    await soon(() => expect(bodies(to)[0]).toBe(stopped))
    expect(await service.start(to)).toMatchObject({ status: 403, body: { code: 'recipient_opted_out' } })
    expect(await service.call('POST', `/v1/verifications/${body.id}/sends`)).toMatchObject({ status: 403 })
    expect(await service.check(body.id, code)).toMatchObject({ body: { result: 'approved' } })

    await say(to, 'STOP')
    await say(to, 'HELP')
    await soon(() => expect(bodies(to)[0]).toContain('help@example.com'))
    expect(bodies(to)).toHaveLength(3)

    await say(to, 'START')
    await soon(() => expect(bodies(to)[0]).toContain('opted in'))
    expect(await service.start(to)).toMatchObject({ status: 202 })
    await soon(() => expect(bodies(to)[0]).toMatch(/^\d{6} is your Example code/))
    expect(bodies(to)).toHaveLength(5)
  })

  it('is not sent the code that was on its way', async () => {
    // Refused twice as busy, so that the STOP comes between two attempts.
    const to = numberEnding('0105')
    const { body } = await service.start(to)
    const send = async () => (await service.call('GET', `/v1/verifications/${body.id}`)).body.delivery
    await soon(async () => expect(await send()).toMatchObject({ attempts: 1 }))
    await say(to, 'STOP')
    await soon(async () =>
      expect(await send()).toMatchObject({ status: 'suppressed', reason: 'recipient_opted_out' }),
    )
    // The confirmation is as busy, and is tried again.
    await soon(() => expect(bodies(to)).toEqual([expect.stringContaining('opted out')]))
  })
})

describe('a robot', () => {
  it('that answers whatever it gets with the same word gets one answer', async () => {
    const robot = numberEnding()
    let answered = 0
    const watch = setInterval(() => {
      const { length } = service.sandbox.messages(robot)
      for (; answered < length; answered++) void say(robot, 'HELP')
    }, 5)
    onTestFinished(() => clearInterval(watch))
    const heeded = () =>
      service.workers.flatMap((worker) =>
        worker
          .output()
          .split('\n')
          .filter((line) => line.includes('keyword heeded') && line.includes(`*${robot.slice(-4)}`)),
      )
    const before = heeded().length
    await say(robot, 'HELP')
    await soon(() => expect(heeded().length).toBe(before + 2))
    expect(bodies(robot)).toHaveLength(1)
  })
})

describe('while Redis is away', () => {
  it('a STOP waits for it, and is heeded when it is back', async () => {
    const redis = await startOwnRedis()
    onTestFinished(() => redis.stop())
    const alone = await startService({ redisUrl: redis.url, env })
    onTestFinished(() => alone.stop())
    await alone.ready()
    const to = numberEnding()
    redis.freeze()
    await say(to, 'STOP', alone)
    await soon(() => expect(alone.workers[0]?.output()).toContain('message came in'))
    redis.thaw()
    await soon(() => expect(alone.sandbox.messages(to)).toHaveLength(1))
    expect(await alone.start(to)).toMatchObject({ status: 403 })
  }, 40_000)
})

describe('where everything goes over REST', () => {
  it('a STOP is heard by its callback: one answer, no code, until the START', async () => {
    const rest = await startService({
      redisUrl: testRedisUrl(),
      workers: 2,
      callbacks: true,
      inboundOverRest: true,
      env: { ...env, PROVIDERS: 'rest' },
    })
    onTestFinished(() => rest.stop())
    await rest.ready()
    const to = numberEnding()
    const say = async (text: string) => {
      const message = rest.sandbox.answer({ from: to, to: SENDER, body: text })
      await soon(() => expect(message.state).toBe('delivered'))
    }
    const arrived = () => rest.sandbox.messages(to).map(({ body }) => body)
    const { body } = await rest.start(to)
    const code = await rest.codeAt(to)

    await say('STOP')
    await soon(() => expect(arrived()).toHaveLength(2))
    expect(arrived()[0]).toContain('opted out')
    expect(await rest.start(to)).toMatchObject({ status: 403, body: { code: 'recipient_opted_out' } })

    expect(await rest.check(body.id, code)).toMatchObject({ body: { result: 'approved' } })

    await say('STOP')
    await say('START')
    await soon(() => expect(arrived()[0]).toContain('opted in'))
    expect(arrived()).toHaveLength(3)
    expect(await rest.start(to)).toMatchObject({ status: 202 })
    expect(rest.sandbox.counts().connects).toBe(0)
  }, 40_000)
})

describe('what the programs wrote after all of the above', () => {
  it('holds no whole number and no text of a message', () => {
    const lines = [...service.apis, ...service.workers]
      .map((program) => program.output())
      .join('\n')
      .replace(/[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|"time":\d+/g, '')
    expect(lines).toContain('"keyword":"stop"')
    expect(lines).not.toContain('Stop please')
    for (const { to, body } of service.sandbox.messages()) {
      expect(lines).not.toContain(to.slice(1))
      expect(lines).not.toContain(body)
    }
  })
})
