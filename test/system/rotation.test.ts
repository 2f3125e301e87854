/**
 * Secrets that rotate under the programs as they run. DESTINATION_KEYS: turned over in three rounds of restarts nothing is
 * forgotten, all agree on one tag key whoever comes first and whatever Redis loses, and who cannot open it counts nothing.
 * And those of others: what signs callbacks, and what opens Redis.
 */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { createKeys } from '#store/keys.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Program, type Service } from '#test/fixtures/service.ts'
import { type Options, running } from './running.ts'

const SENDER = '+12025550199'
const newKey = (name: string) => `${name}:${randomBytes(32).toString('base64')}`
const OPTED_OUT = { status: 403, body: { code: 'recipient_opted_out' } }
const AWAY = { status: 503, body: { code: 'service_unavailable' } }

const soon = <T>(read: () => Promise<T>) => vi.waitFor(read, { timeout: 10_000, interval: 50 })

async function deployment(context: TestContext, destinationKeys: string, options: Options = {}) {
  const redis = await startOwnRedis()
  context.onTestFinished(() => redis.stop())
  const client = new Redis(redis.url)
  context.onTestFinished(() => client.disconnect())
  const env = { DESTINATION_KEYS: destinationKeys, ...options.env }
  const service = await running(context, { redisUrl: redis.url, ...options, env })
  const name = createKeys(service.prefix).tagKey()
  /** The names of the keys that Redis holds for a number's newest verification, tag and all. */
  const pointers = () => client.keys(`{${service.prefix}}:default:p:*`)
  return { redis, client, service, pointers, sealed: () => client.get(name) }
}

async function ask(program: Program | undefined, path: string, body: object, key?: string) {
  const headers = { 'Content-Type': 'application/json', ...(key && { 'Idempotency-Key': key }) }
  const began = performance.now()
  const answer = await fetch(`${program?.url}/v1${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  })
  const said: Record<string, unknown> = JSON.parse(await answer.text())
  return { status: answer.status, body: said, ms: performance.now() - began }
}

const start = (program: Program | undefined, to: string, key?: string) =>
  ask(program, '/verifications', { to }, key)
const checkNumber = (program: Program | undefined, to: string, code: string) =>
  ask(program, '/checks', { to, code })

const wrongFor = (code: string) => (code === '000000' ? '000001' : '000000')

/** A person writes; once they are answered it was heeded. */
async function say(service: Service, from: string, body: string): Promise<void> {
  const answers = service.sandbox.messages(from).length + 1
  service.sandbox.answer({ from, to: SENDER, body })
  await soon(async () => expect(service.sandbox.messages(from)).toHaveLength(answers))
}

/** An API and a worker in place of those that run, which are there until the new ones are ready. */
async function replace(service: Service, running: readonly Program[], destinationKeys: string) {
  const env = { DESTINATION_KEYS: destinationKeys }
  const [api, worker] = [await service.startApi(env), await service.startWorker(env)]
  await Promise.all([api.ready(), worker.ready()])
  for (const program of running) program.kill('SIGTERM')
  await Promise.all(running.map(({ ended }) => ended))
  return [api, worker] as const
}

describe.concurrent('DESTINATION_KEYS', () => {
  it('turned over in three rounds forget no open verification, no limit, no STOP and no repeated request', {
    timeout: 90_000,
  }, async (context) => {
    const [old, fresh] = [newKey('k1'), newKey('k2')]
    const { service, sealed } = await deployment(context, old, { env: { WRONG_IN_A_ROW_MAX: '20' } })
    let [api, worker] = [service.apis[0], service.workers[0]] as [Program, Program]
    const [byNumber, byId, guessed, stopped, repeated] = Array.from({ length: 5 }, () => numberEnding())
    if (!byNumber || !byId || !guessed || !stopped || !repeated) throw new Error('five numbers')
    for (const to of [byNumber, guessed]) expect((await start(api, to)).status).toBe(202)
    const { id } = (await start(api, byId)).body
    const first = await start(api, repeated, 'once')
    await say(service, stopped, 'STOP')
    expect(await start(api, stopped)).toMatchObject(OPTED_OUT)
    const codes = await Promise.all([byNumber, byId, guessed].map((to) => service.codeAt(to)))
    const [codeByNumber = '', codeById = '', codeGuessed = ''] = codes
    let left = 5

    for (const keys of [`${old},${fresh}`, `${fresh},${old}`, fresh]) {
      const guess = () => checkNumber(api, guessed, wrongFor(codeGuessed))
      expect((await guess()).body).toMatchObject({ result: 'wrong', checks_left: --left })
      ;[api, worker] = await replace(service, [api, worker], keys)
      expect(await start(api, stopped)).toMatchObject(OPTED_OUT)
      expect((await start(api, repeated, 'once')).body.id).toBe(first.body.id)
      expect((await start(api, repeated)).body).toMatchObject({ code: 'resend_cooldown' })
      const name = keys.slice(0, 2)
      await soon(async () => expect(await sealed()).toMatch(new RegExp(`^${name}\\.`)))
    }
    expect((await checkNumber(api, guessed, wrongFor(codeGuessed))).body).toMatchObject({ checks_left: 1 })
    expect((await checkNumber(api, byNumber, codeByNumber)).body).toMatchObject({ result: 'approved' })
    const approved = await ask(api, `/verifications/${id}/checks`, { code: codeById })
    expect(approved.body).toMatchObject({ result: 'approved' })
    await say(service, stopped, 'START')
    expect((await start(api, stopped)).status).toBe(202)
  })

  it('are asked by five programs that start at once, and all count a number as one', {
    timeout: 60_000,
  }, async (context) => {
    const { service } = await deployment(context, newKey('k1'), { apis: 3, workers: 2 })
    const [one, two, three] = service.apis
    const to = numberEnding()
    expect((await start(one, to)).status).toBe(202)
    const code = await service.codeAt(to)
    expect((await checkNumber(two, to, wrongFor(code))).body).toMatchObject({ checks_left: 4 })
    expect((await checkNumber(three, to, code)).body).toMatchObject({ result: 'approved' })
    const stopped = numberEnding()
    await say(service, stopped, 'STOP')
    for (const api of service.apis) expect(await start(api, stopped)).toMatchObject(OPTED_OUT)
  })

  it('give an emptied Redis back what it lost, and numbers are named as before', {
    timeout: 60_000,
  }, async (context) => {
    const keys = newKey('k1')
    const { service, client, pointers, sealed } = await deployment(context, keys, { apis: 2 })
    const [one, two] = service.apis
    const to = numberEnding()
    expect((await start(one, to)).status).toBe(202)
    await service.codeAt(to)
    const before = await pointers()
    expect(before).toHaveLength(1)

    await client.flushall()
    await soon(async () => expect(await sealed()).toMatch(/^k1\./))
    expect((await start(two, to)).status).toBe(202)
    expect(await pointers()).toEqual(before)
    const late = await service.startApi()
    await late.ready()
    await soon(async () => expect(service.sandbox.messages(to)).toHaveLength(2))
    expect((await checkNumber(late, to, await service.codeAt(to))).body).toMatchObject({ result: 'approved' })
  })

  it('lead programs that run to the tag key that Redis has, where it has another by now', {
    timeout: 60_000,
  }, async (context) => {
    const keys = newKey('k1')
    const { service, client, sealed } = await deployment(context, keys, { apis: 2, workers: 0 })
    const other = await deployment(context, keys, { apis: 1, workers: 0 })
    const [one, two] = service.apis
    const to = numberEnding()
    expect((await start(one, to)).status).toBe(202)
    await client.set(createKeys(service.prefix).tagKey(), (await other.sealed()) ?? '', 'EX', 3_600)
    await soon(async () => {
      for (const api of [one, two])
        expect((await checkNumber(api, to, '000000')).body).toMatchObject({ code: 'unknown_verification' })
    })
    const again = await start(two, to)
    expect(again.status).toBe(202)
    expect((await checkNumber(one, to, '000000')).body).toMatchObject({ verification: again.body.id })
    expect(await sealed()).toBe(await other.sealed())
  })

  it('with another key counts nothing: it is not ready, says which key it lacks, and answers 503 within two seconds', {
    timeout: 60_000,
  }, async (context) => {
    const [right, wrong] = [newKey('k1'), newKey('k9')]
    const { service, sealed } = await deployment(context, right)
    const before = await sealed()
    const env = { DESTINATION_KEYS: wrong }
    const strangers = [await service.startApi(env), await service.startWorker(env)]
    for (const stranger of strangers) {
      await stranger.up()
      await soon(async () => {
        const ready = await fetch(`${stranger.url}/readyz`)
        expect([ready.status, await ready.text()]).toEqual([
          503,
          expect.stringContaining('tag_key_not_opened'),
        ])
      })
    }
    const [api] = strangers
    const to = numberEnding()
    for (const answer of [await start(api, to), await checkNumber(api, to, '000000')]) {
      expect(answer).toMatchObject(AWAY)
      expect(answer.ms).toBeLessThan(2_000)
    }
    // Two looks later nothing more was said, nothing written, and nobody else was disturbed.
    await new Promise((resolve) => setTimeout(resolve, 4_500))
    for (const { output } of strangers) {
      expect(output().match(/DESTINATION_KEYS do not open[^\n]*/g)).toHaveLength(1)
      expect(output()).toContain('"reason":"no_key k1"')
      for (const key of [right, wrong]) expect(output()).not.toContain(key.slice(3, 20))
    }
    expect(await sealed()).toBe(before)
    expect((await start(service.apis[0], to)).status).toBe(202)
  })
})

describe.concurrent('a secret of somebody else’s', () => {
  it('that signs callbacks may be one of several: news signed with the second is taken', {
    timeout: 60_000,
  }, async (context) => {
    const env = { PROVIDERS: 'rest', SIGNALWIRE_SIGNING_KEY: 'a newer one,sandbox' }
    const { service } = await deployment(context, newKey('k1'), { callbacks: true, env })
    const { body } = await service.start(numberEnding())
    await soon(async () => expect(await service.delivery(body.id)).toBe('delivered'))
  })

  it('that opens Redis is exchanged with two beside each other, and an open verification is approved', {
    timeout: 60_000,
  }, async (context) => {
    const redis = await startOwnRedis()
    context.onTestFinished(() => redis.stop())
    const client = new Redis(redis.url)
    context.onTestFinished(() => client.disconnect())
    const user = (...rules: string[]) => client.call('ACL', 'SETUSER', 'app', ...rules)
    const urlWith = (password: string) => redis.url.replace('//', `//app:${password}@`)
    await user('on', '>old', '~*', '&*', '+@all')
    const service = await running(context, { redisUrl: urlWith('old') })
    const to = numberEnding()
    expect((await service.start(to)).status).toBe(202)
    const code = await service.codeAt(to)

    await user('>new')
    const late = await service.startApi({ REDIS_URL: urlWith('new') })
    await late.ready()
    await user('<old')
    const [before] = service.apis
    expect((await checkNumber(before, to, wrongFor(code))).body).toMatchObject({ checks_left: 4 })
    expect((await checkNumber(late, to, code)).body).toMatchObject({ result: 'approved' })
  })
})
