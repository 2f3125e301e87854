/** Two providers with real processes, the real SDK and real HTTP: one goes away while codes are sent (P5, P9). */
import { afterEach, expect, it, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { numberEnding, type Service, startService } from '#test/fixtures/service.ts'

let service: Service | undefined

afterEach(async () => {
  await service?.stop()
  service = undefined
})

const eventually = <T>(read: () => Promise<T>, timeout = 14_000) =>
  vi.waitFor(read, { timeout, interval: 50 })

async function running(env: Record<string, string>, callbacks = false): Promise<Service> {
  service = await startService({ redisUrl: testRedisUrl(), env, callbacks })
  await service.ready()
  return service
}

/** The provider of every attempt that was accepted, as the worker's log names it. */
function providersIn(system: Service): string[] {
  const lines = system.workers.flatMap((worker) => worker.output().split('\n'))
  const attempts = lines.filter((line) => line.includes('"attempt"') && line.includes('"accepted"'))
  return attempts.map((line) => /"provider":"([^"]+)"/.exec(line)?.[1] ?? '')
}

it('the websocket goes away while codes are sent: each goes out once, over REST, until it is back', {
  timeout: 60_000,
}, async () => {
  const system = await running({ PROVIDERS: 'relay,rest' })
  const sendOne = async () => {
    const to = numberEnding()
    await system.start(to)
    await eventually(async () => expect(await system.arrived(to)).toHaveLength(1))
  }
  const sendsOverTheWebsocket = () =>
    eventually(async () => {
      await sendOne()
      expect(providersIn(system).at(-1)).toBe('signalwire-relay')
    }, 30_000)
  await sendsOverTheWebsocket()

  system.sandbox.setTrouble('unavailable')
  const numbers = Array.from({ length: 40 }, () => numberEnding())
  const started = Promise.all(numbers.map((to) => system.start(to)))
  system.sandbox.dropConnections()
  for (const { status } of await started) expect(status).toBe(202)
  await eventually(async () => {
    for (const to of numbers) expect((await system.arrived(to)).length).toBeGreaterThan(0)
  }, 30_000)
  const readiness = await fetch(`${system.workers[0]?.url}/readyz`)
  expect(readiness.status).toBe(200)
  await eventually(async () => expect(providersIn(system)).toContain('signalwire-rest'))

  system.sandbox.setTrouble(undefined)
  await sendsOverTheWebsocket()
  // What was in flight at the cut may be unknown, and go out a second time (P5); all others went out once.
  for (const to of numbers) expect((await system.arrived(to)).length).toBeLessThanOrEqual(2)
})

it('REST cut off mid-send: the message is found in SignalWire’s log, and not sent again', {
  timeout: 40_000,
}, async () => {
  const system = await running({ PROVIDERS: 'rest' })
  const to = numberEnding('0107')
  const { body } = await system.start(to)
  await eventually(async () => expect(await system.delivery(body.id)).toBe('accepted'), 30_000)
  expect(await system.arrived(to)).toHaveLength(1)
  const view = await system.call('GET', `/v1/verifications/${body.id}`)
  expect(view.body.sends).toMatchObject([
    {
      possible_duplicate: false,
      timeline: [
        { outcome: 'unknown', provider: 'signalwire-rest' },
        { outcome: 'found', provider: 'signalwire-rest' },
      ],
    },
  ])
})

it('REST alone sends, without any websocket, and hears of the delivery by signed callbacks', {
  timeout: 30_000,
}, async () => {
  const system = await running({ PROVIDERS: 'rest' }, true)
  const to = numberEnding()
  const { body } = await system.start(to)
  expect(await system.check(body.id, await system.codeAt(to))).toMatchObject({ body: { result: 'approved' } })
  expect(system.sandbox.counts().connects).toBe(0)
  await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'))
  await eventually(async () => expect(providersIn(system)).toEqual(['signalwire-rest']))
})

it.each([
  ['0100', 'delivered'],
  ['0114', 'undelivered'],
])('a call to %s says the code, and ends %s', { timeout: 30_000 }, async (ending, state) => {
  const system = await running({ PROVIDERS: 'relay,rest' }, true)
  const to = numberEnding(ending)
  const { status, body } = await system.call('POST', '/v1/verifications', {
    to,
    channel: 'call',
    locale: 'es',
  })
  expect(status).toBe(202)
  await eventually(async () => expect(await system.delivery(body.id)).toBe(state))
  const [call] = system.sandbox.messages(to)
  expect(call).toMatchObject({
    channel: 'call',
    body: expect.stringContaining('Su clave de verification es:'),
  })
  const code = /(\d\. ){5}\d/.exec(call?.body ?? '')?.[0].replaceAll(/\D/g, '') ?? ''
  expect(await system.check(body.id, code)).toMatchObject({ body: { result: 'approved' } })
  const output = [...system.apis, ...system.workers].map((program) => program.output()).join('')
  expect(output).not.toContain(code)
  expect(output).not.toContain('Su clave')
})
