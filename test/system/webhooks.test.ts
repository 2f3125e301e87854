/** Events out of the programs as they run: told whole, told by the next worker when one is killed, holding up nothing. */
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { receiver, SECRET } from '#test/fixtures/receiver.ts'
import { numberEnding } from '#test/fixtures/service.ts'
import { type Options, running } from './running.ts'

const eventually = <T>(read: () => T | Promise<T>, timeout = 14_000) =>
  vi.waitFor(read, { timeout, interval: 50 })

const telling = (context: TestContext, url: URL, more: Options = {}) =>
  running(context, {
    ...more,
    env: { WEBHOOK_URL: url.href, WEBHOOK_SECRET: SECRET, WEBHOOK_ALLOW_PRIVATE: 'on', ...more.env },
  })

const typeOf = ({ body }: { body: string }) => JSON.parse(body).type as string

describe.concurrent('a receiver', () => {
  it('is told how a code was asked for, carried and typed in', { timeout: 30_000 }, async (context) => {
    const { url, received } = await receiver([], context.onTestFinished)
    const system = await telling(context, url)
    const to = numberEnding()
    const { body } = await system.start(to)
    const code = await system.codeAt(to)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'))
    await system.check(body.id, code)
    await eventually(() => expect(received).toHaveLength(4))
    expect(received.map(typeOf).sort()).toEqual([
      ...['send.accepted', 'send.delivered', 'verification.approved', 'verification.started'],
    ])
    for (const { headers, body: told } of received) {
      const event = new Webhook(SECRET).verify(told, headers as Record<string, string>)
      expect(event).toMatchObject({ data: { verification: body.id, to: `+*******${to.slice(-4)}` } })
      expect(told).not.toContain(code)
      expect(told).not.toContain(to.slice(1))
    }
    expect(system.workers[0]?.output()).not.toContain(code)
  })

  it('is told by the next worker what a killed one had in the outbox, in the queue and in hand', {
    timeout: 60_000,
  }, async (context) => {
    // Never answered: those are in the hands of the worker that is killed.
    const { url, received, answers } = await receiver(
      Array.from({ length: 10 }, () => () => {}),
      context.onTestFinished,
    )
    const system = await telling(context, url, { workers: 0 })
    const start = async () => String((await system.start(numberEnding('0106'))).body.id)
    const ids = [await start(), await start()]
    const first = await system.startWorker()
    await eventually(() => expect(received.length).toBeGreaterThanOrEqual(2))
    first.kill('SIGKILL')
    await first.ended
    ids.push(await start(), await start())
    answers.length = 0
    await system.startWorker()
    await eventually(() => {
      const told = received.filter((one) => typeOf(one) === 'verification.started')
      const times = ids.map((id) => told.filter(({ body }) => body.includes(id)).length)
      // Two that were never answered, and two that the first worker had not even seen.
      expect(times).toEqual([2, 2, 1, 1])
    }, 40_000)
    const names = ids.map((id) => {
      const told = received.filter((one) => typeOf(one) === 'verification.started' && one.body.includes(id))
      return new Set(told.map(({ headers }) => headers['webhook-id'])).size
    })
    expect(names).toEqual([1, 1, 1, 1])
  })

  it('that never answers holds up no code, and no stop', { timeout: 40_000 }, async (context) => {
    const hung = Array.from({ length: 1_000 }, () => () => {})
    const { url, received } = await receiver(hung, context.onTestFinished)
    const system = await telling(context, url, { env: { SHUTDOWN_DEADLINE_SECONDS: '2' } })
    const numbers = Array.from({ length: 20 }, () => numberEnding())
    for (const to of numbers) await system.start(to)
    for (const to of numbers) await system.codeAt(to)
    await eventually(() => expect(received.length).toBe(10))
    const [worker] = system.workers
    const startedAt = performance.now()
    worker?.kill('SIGTERM')
    expect(await worker?.ended).toEqual({ code: 0, signal: null })
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })
})
