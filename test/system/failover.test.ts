/** Two providers with real processes, the real SDK and real HTTP: one goes away while codes are sent (P5, P9). */
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { numberEnding, type Service } from '#test/fixtures/service.ts'
import { expectNothingBroken } from './aftermath.ts'
import { running } from './running.ts'

const eventually = <T>(read: () => Promise<T>, timeout = 14_000) =>
  vi.waitFor(read, { timeout, interval: 50 })

const withRoads = (context: TestContext, env: Record<string, string>, callbacks = true) =>
  running(context, { env, callbacks })

/** The provider of every attempt that was accepted, as the worker's log names it. */
function providersIn(system: Service): string[] {
  const lines = system.workers.flatMap((worker) => worker.output().split('\n'))
  const attempts = lines.filter((line) => line.includes('"attempt"') && line.includes('"accepted"'))
  return attempts.map((line) => /"provider":"([^"]+)"/.exec(line)?.[1] ?? '')
}

type Sent = { possible_duplicate: boolean; timeline: { outcome: string; provider: string }[] }

async function sentTo(system: Service, id: unknown): Promise<Sent> {
  const { body } = await system.call('GET', `/v1/verifications/${id}`)
  const [send] = body.sends as unknown as Sent[]
  if (!send) throw new Error('It has no send')
  return send
}

describe.concurrent('two providers', () => {
  it('the websocket goes away while codes are sent: each goes out once, over REST, until it is back', {
    timeout: 60_000,
  }, async (context) => {
    const system = await withRoads(context, { PROVIDERS: 'relay,rest' })
    const startMany = async (count: number) => {
      const numbers = Array.from({ length: count }, () => numberEnding())
      const started = Promise.all(numbers.map((to) => system.start(to)))
      return { numbers, ids: started.then((answers) => answers.map(({ body }) => body.id)) }
    }
    const arrive = (numbers: readonly string[]) =>
      eventually(async () => {
        for (const to of numbers) expect((await system.arrived(to)).length).toBeGreaterThan(0)
      }, 30_000)
    const sendsOverTheWebsocket = () =>
      eventually(async () => {
        await arrive((await startMany(1)).numbers)
        expect(providersIn(system).at(-1)).toBe('signalwire-relay')
      }, 30_000)
    await sendsOverTheWebsocket()

    system.sandbox.setTrouble('unavailable')
    const cut = await startMany(40)
    system.sandbox.dropConnections()
    await arrive(cut.numbers)
    const away = await startMany(20)
    await arrive(away.numbers)
    const readiness = await fetch(`${system.workers[0]?.url}/readyz`)
    expect(readiness.status).toBe(200)
    for (const id of await away.ids) {
      await eventually(async () =>
        expect((await sentTo(system, id)).timeline.at(-1)?.outcome).toBe('accepted'),
      )
      // None of these was in anybody's hands when the websocket went: there is nothing unknown about them.
      expect(await sentTo(system, id)).toMatchObject({
        possible_duplicate: false,
        timeline: [{ outcome: 'accepted', provider: 'signalwire-rest' }],
      })
    }
    for (const to of away.numbers) expect(await system.arrived(to)).toHaveLength(1)

    system.sandbox.setTrouble(undefined)
    await sendsOverTheWebsocket()
    // What was in the websocket's hands at the cut is unknown, and may go out a second time (P5); all others went out once.
    const ids = await cut.ids
    for (const [at, to] of cut.numbers.entries()) {
      const { possible_duplicate, timeline } = await sentTo(system, ids[at])
      const unknown = timeline.filter(({ outcome }) => outcome === 'unknown')
      expect(possible_duplicate).toBe(timeline.length > 1 && unknown.length > 0)
      expect((await system.arrived(to)).length).toBeLessThanOrEqual(possible_duplicate ? 2 : 1)
      for (const { provider } of unknown) expect(provider).toBe('signalwire-relay')
    }
    await expectNothingBroken(system, testRedisUrl())
  })

  it('REST cut off mid-send: the message is found in SignalWire’s log, and not sent again', {
    timeout: 40_000,
  }, async (context) => {
    // No callback ever comes: only the log can tell.
    const env = { PUBLIC_URL: 'http://127.0.0.1:1', SIGNALWIRE_SIGNING_KEY: 'sandbox' }
    const system = await withRoads(context, { PROVIDERS: 'rest', ...env }, false)
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
    await expectNothingBroken(system, testRedisUrl())
  })

  it('REST alone sends, without any websocket, and hears of the delivery by signed callbacks', {
    timeout: 30_000,
  }, async (context) => {
    const system = await withRoads(context, { PROVIDERS: 'rest' })
    const to = numberEnding()
    const { body } = await system.start(to)
    expect(await system.check(body.id, await system.codeAt(to))).toMatchObject({
      body: { result: 'approved' },
    })
    expect(system.sandbox.counts().connects).toBe(0)
    await eventually(async () => expect(await system.delivery(body.id)).toBe('delivered'))
    await eventually(async () => expect(providersIn(system)).toEqual(['signalwire-rest']))
    await expectNothingBroken(system, testRedisUrl())
  })

  it.for([
    ['0100', 'delivered'],
    ['0114', 'undelivered'],
  ] as const)(
    'a call to %s says the code, and ends %s',
    { timeout: 30_000 },
    async ([ending, state], context) => {
      const system = await withRoads(context, { PROVIDERS: 'relay,rest' })
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
    },
  )
})
