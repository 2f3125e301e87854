/**
 * A run of everything with the programs as they run, at every level of the log; then codes and numbers are looked for in
 * all that was written, all that Redis was ever told, all that it holds, and all that was told to those who follow: over
 * webhooks and streams, and as metrics. There are no spans.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, expect, it, vi } from 'vitest'
import { freePort } from '#dev/ports.ts'
import { type Received, receiver, SECRET } from '#test/fixtures/receiver.ts'
import { type OwnRedis, startOwnRedis } from '#test/fixtures/redis-server.ts'
import { formsOfCode, formsOfNumber, tracesIn } from '#test/fixtures/secrets.ts'
import { numberEnding, type Service, startService } from '#test/fixtures/service.ts'
import { codeOf, vaultOf } from '#test/fixtures/store.ts'
import type { CodeOwner } from '#verification/vault.ts'
import type { Application, Purpose, VerificationId } from '#verification/verification.ts'

const CODE_KEY = createHash('sha256').update('code key of the canary').digest()
const DESTINATION_KEY = createHash('sha256').update('destination key of the canary').digest()
const vault = vaultOf([{ id: 'k1', secret: CODE_KEY }])
const OWNER: CodeOwner = {
  application: 'shop' as Application,
  id: randomBytes(16).toString('hex') as VerificationId,
  destinationTag: randomBytes(16).toString('base64url'),
  purpose: 'default' as Purpose,
}
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SENDER = '+12025550199'
const DENIED = '+12125559999'
const FORM = { Accept: 'text/html', 'Content-Type': 'application/x-www-form-urlencoded' }
/** What no code of ours is, and nobody may find again: typed by people who mistyped, or by a guesser. */
const TYPED = ['905318', '٩٠٥٣١٧']

const soon = <T>(read: () => T | Promise<T>, timeout = 30_000) => vi.waitFor(read, { timeout, interval: 50 })

type Run = {
  service: Service
  redis: OwnRedis
  said: string[]
  client: Redis
  received: Received[]
  metricsPort: number
}

/** Keys of every type, with all that is in them. */
async function everythingIn(client: Redis): Promise<Map<string, string>> {
  const reads: Record<string, (key: string) => Promise<unknown>> = {
    string: (key) => client.get(key),
    hash: (key) => client.hgetall(key),
    list: (key) => client.lrange(key, 0, -1),
    set: (key) => client.smembers(key),
    zset: (key) => client.zrange(key, '0', '-1', 'WITHSCORES'),
    stream: (key) => client.xrange(key, '-', '+'),
  }
  const all = new Map<string, string>()
  for (const key of await client.keys('*')) {
    const type = await client.type(key)
    const read = reads[type]
    if (type !== 'none' && !read) throw new Error(`No way to read a ${type}`)
    const held = await read?.(key)
    all.set(key, typeof held === 'string' ? held : JSON.stringify(held))
  }
  return all
}

async function running(
  env: Record<string, string>,
  onTestFinished: (end: () => Promise<void> | void) => void,
): Promise<Run> {
  // Some events are told again.
  const { url, received } = await receiver([500, 503, 500], onTestFinished)
  const redis = await startOwnRedis()
  onTestFinished(() => redis.stop())
  const client = new Redis(redis.url, { lazyConnect: true, retryStrategy: () => 50 })
  client.on('error', () => {})
  await client.connect()
  const said: string[] = []
  const monitor = await client.monitor()
  monitor.on('monitor', (_time: string, args: string[]) => said.push(args.join('\n')))
  monitor.on('error', () => {})
  const metricsPort = await freePort()
  const service = await startService({
    redisUrl: redis.url,
    callbacks: true,
    inboundOverRest: env.PROVIDERS === 'rest',
    env: {
      // A random one has six digits in a row now and then.
      REDIS_PREFIX: 'canary',
      CODE_KEYS: `k1:${CODE_KEY.toString('base64')}`,
      DESTINATION_KEYS: `d1:${DESTINATION_KEY.toString('base64')}`,
      DENIED_NUMBERS: DENIED,
      ALLOWED_REGIONS: 'US',
      WEBHOOK_URL: url.href,
      WEBHOOK_SECRET: SECRET,
      WEBHOOK_ALLOW_PRIVATE: 'on',
      // So that it is told, too, that a limit is nearly reached.
      LIMIT_REGION_DAY: '10:observe',
      LIMIT_IP_HOUR: 'off',
      LIMIT_IP_NUMBERS_DAY: 'off',
      METRICS_PORT: String(metricsPort),
      ...env,
    },
  })
  onTestFinished(async () => {
    monitor.disconnect()
    client.disconnect()
    await service.stop()
  })
  await service.ready()
  return { service, redis, said, client, received, metricsPort }
}

/** The codes that nobody was sent, too: of messages that are held back or still wait. */
function pendingCodesIn(held: ReadonlyMap<string, string>): string[] {
  return [...held].flatMap(([key, value]) => {
    const [, application, id] = /^\{[^}]+\}:([^:@]+):v:(\w+)$/.exec(key) ?? []
    if (application === undefined) return []
    const { sealed }: { sealed?: string } = JSON.parse(value)
    const owner = { application: application as Application, id: id as VerificationId }
    return sealed === undefined ? [] : (vault.open(sealed, owner)?.code ?? [])
  })
}

/** The whole repertory of callers, strangers, people and outages. Answers every number and code that went through. */
async function everything({ service, redis, client }: Run) {
  const numbers = new Set<string>([DENIED])
  const codes = new Set<string>(TYPED)
  const number = (ending?: string) => {
    const to = numberEnding(ending)
    numbers.add(to)
    return to
  }
  const [api] = service.apis
  const start = async (more: object = {}, ending?: string) => {
    const to = number(ending)
    const { status, body } = await service.call('POST', '/v1/verifications', { to, ...more })
    expect(status).toBe(202)
    return { to, id: String(body.id) }
  }
  const form = (path: string, fields: Record<string, string>) =>
    fetch(`${api?.url}${path}`, {
      method: 'POST',
      headers: FORM,
      body: new URLSearchParams(fields).toString(),
    })
  const raw = (path: string, init: RequestInit) => fetch(`${api?.url}${path}`, init)
  const streams: Heard[] = []
  const follow = async (id: string) => {
    const response = await raw(`/v1/verifications/${id}/events`, {})
    expect(response.status).toBe(200)
    streams.push(heardFrom(response))
  }

  // People who write back: a keyword, and the code itself.
  const hello = { from: number(), to: SENDER, body: 'Hello?' }
  await soon(async () => {
    const message = service.sandbox.answer(hello)
    await soon(() => expect(message.state).toBe('delivered'), 1_000)
  })
  const writer = await start()
  const written = await service.codeAt(writer.to)
  codes.add(written)
  for (const body of [`My code is ${written}, call ${writer.to}`, 'STOP'])
    service.sandbox.answer({ from: writer.to, to: SENDER, body })
  await soon(async () => expect((await service.start(writer.to)).status).toBe(403))
  await soon(() => expect(service.sandbox.messages(writer.to)).toHaveLength(2))
  await form('/request-auth', { number: writer.to })

  // A person, their payment, their call, and a resend.
  const { to, id } = await start({ locale: 'fr', client_ip: '203.0.113.7' })
  await follow(id)
  const code = await service.codeAt(to)
  codes.add(code)
  await service.check(id, TYPED[0] ?? '')
  await service.check(id, TYPED[1] ?? '')
  await client.hset(`{${service.prefix}}:default:v:${id}`, 'next_send', Date.now() - 1)
  expect((await service.call('POST', `/v1/verifications/${id}/sends`)).status).toBe(202)
  await soon(async () => expect(await service.arrived(to)).toHaveLength(2))
  await service.call('POST', '/v1/checks', { to, code: [...code].join(' '), purpose: 'other' })
  const replay = { key: `canary-${id}` }
  for (const _ of [1, 2])
    expect(await service.check(id, code, replay)).toMatchObject({ body: { result: 'approved' } })

  const context = { amount: '77.31', currency: 'EUR', payee: 'Canary Seeds' }
  const paid = await start({ context })
  const forPayment = await service.codeAt(paid.to)
  codes.add(forPayment)
  await service.call('POST', `/v1/verifications/${paid.id}/checks`, { code: forPayment, context })

  // Calls: one whose code is typed in, and one that is not wanted any more.
  const spokenTo = async (to: string) => {
    await soon(() => expect(service.sandbox.messages(to)).toHaveLength(1))
    const spoken = spokenIn(service.sandbox.messages(to)[0]?.body ?? '')
    expect(spoken).toMatch(/^\d{6}$/)
    codes.add(spoken ?? '')
    return spoken ?? ''
  }
  const answered = await start({ channel: 'call', locale: 'de' })
  await follow(answered.id)
  const spoken = await spokenTo(answered.to)
  await service.check(answered.id, TYPED[0] ?? '')
  expect(await service.check(answered.id, spoken)).toMatchObject({ body: { result: 'approved' } })
  const called = await start({ channel: 'call' })
  await follow(called.id)
  await spokenTo(called.to)

  // Requests that quote what they should not.
  const spoiled = await start()
  const spoiledCode = await service.codeAt(spoiled.to)
  codes.add(spoiledCode)
  const json = { 'Content-Type': 'application/json' }
  for (const body of [
    `{"code":"${spoiledCode}"`,
    `{"code":["${spoiledCode}"],"to":"${spoiled.to}"}`,
    spoiledCode,
  ])
    await raw(`/v1/verifications/${spoiled.id}/checks`, { method: 'POST', headers: json, body })
  await raw(`/v1/verifications/${spoiledCode}?to=${encodeURIComponent(spoiled.to)}&code=${spoiledCode}`, {
    headers: {
      'User-Agent': spoiledCode,
      Referer: `https://a.example/${spoiledCode}`,
      'X-Request-Id': spoiledCode,
    },
  })
  await raw(`/${spoiled.to}/${spoiledCode}`, { headers: { Authorization: `Bearer ${spoiledCode}` } })
  await raw('/v1/verifications', {
    method: 'POST',
    headers: { ...json, 'Idempotency-Key': spoiledCode },
    body: '{}',
  })
  await raw('/callbacks/signalwire?reference=x', {
    method: 'POST',
    headers: { 'Content-Type': FORM['Content-Type'], 'X-SignalWire-Signature': spoiledCode },
    body: new URLSearchParams({
      To: spoiled.to,
      Body: `${spoiledCode} is your code`,
      MessageSid: 'x',
    }).toString(),
  })

  // The form, as people and strangers use it.
  const asked = number()
  await form('/request-auth', {
    number: `${asked.slice(0, 2)} (${asked.slice(2, 5)}) ${asked.slice(5, 8)}-${asked.slice(8)}`,
  })
  codes.add(await service.codeAt(asked))
  await form('/request-auth', { number: DENIED })
  await form('/validate-auth', { number: DENIED, auth_code: TYPED[0] ?? '' })
  await form('/validate-auth', { number: asked, auth_code: await service.codeAt(asked) })

  // What concerns a number as a whole.
  await service.call('POST', '/v1/destinations/rebind', { to })
  await service.call('POST', '/v1/destinations/erase', { to: spoiled.to })
  await service.call('DELETE', `/v1/verifications/${called.id}`)
  // Outages follow, in which a stream may end before it has told this.
  await soon(() => expect(streams.map(({ text }) => text).join()).toContain('canceled'))

  // Everything a message can come to, all at once. Some of it cuts the connection all sends share.
  const endings = ['0100', '0101', '0102', '0103', '0104', '0105', '0107', '0109', '0110', '0111', '0112']
  const sent = await Promise.all(endings.map((ending) => start({}, ending)))
  const hung = await start({}, '0106')
  for (const one of [...sent, hung]) await follow(one.id)

  // Outages.
  service.sandbox.setTrouble('unavailable')
  service.sandbox.dropConnections()
  const delayed = await start()
  await soon(async () => expect(await service.delivery(delayed.id)).not.toBe('submitting'))
  service.sandbox.setTrouble(undefined)
  redis.freeze()
  const lost = number()
  expect((await service.start(lost)).status).toBe(503)
  await form('/request-auth', { number: lost })
  await service.check(delayed.id, TYPED[0] ?? '')
  redis.thaw()
  await service.ready()
  // Some endings are refused again and again until the code is dead: one attempt is enough to see what it leaves.
  for (const one of [...sent, delayed, hung])
    await soon(async () => {
      const { body } = await service.call('GET', `/v1/verifications/${one.id}`)
      expect(body.sends).toMatchObject([
        { timeline: expect.arrayContaining([expect.objectContaining({ outcome: expect.any(String) })]) },
      ])
    })

  for (const { body } of service.sandbox.messages()) {
    const digits = spokenIn(body) ?? /\d{6}/.exec(body)?.[0]
    if (digits !== undefined) codes.add(digits)
  }
  return { numbers, codes, streams }
}

const spokenIn = (speech: string) => /(?:\d\. ){5}\d/.exec(speech)?.[0].replace(/\D/g, '')

type Heard = { text: string; ended: Promise<void> }

/** All that a stream says, until its API ends it or is gone. */
function heardFrom(response: Response): Heard {
  const decoder = new TextDecoder()
  const heard = { text: JSON.stringify([...response.headers]), ended: Promise.resolve() }
  async function listen(): Promise<void> {
    try {
      for await (const part of response.body ?? []) heard.text += decoder.decode(part, { stream: true })
    } catch {
      // Cut off in the middle; what came counts.
    }
  }
  heard.ended = listen()
  return heard
}

/** Every name and label of the metrics; their values are counts and times. */
async function metricsOf({ workers }: Service, apiPort: number): Promise<string> {
  const urls = [...workers.map(({ url }) => url), `http://127.0.0.1:${apiPort}`]
  const texts = await Promise.all(urls.map(async (url) => (await fetch(`${url}/metrics`)).text()))
  return texts.join('\n').replace(/ [^ ]+$/gm, '')
}

/** The numbers of the buckets that the clock of a meter went through meanwhile: six digits and more. */
function bucketsSince(began: number): string[] {
  return [10 * MINUTE, HOUR, 24 * HOUR].flatMap((windowMs) => {
    const first = Math.floor((began - windowMs) / (windowMs / 12))
    const last = Math.floor(Date.now() / (windowMs / 12))
    return Array.from({ length: last - first + 1 }, (_, index) => String(first + index))
  })
}

describe('what is looked for', () => {
  const secrets = { codes: ['905318'], numbers: ['+12025550123'] }
  const found = (text: string) => tracesIn(text, secrets, new Set()).length > 0

  it.each([...formsOfCode('905318'), '905318', 'id905318x'])('is found as %j', (form) => {
    expect(found(`{"a":"${form}"}`)).toBe(true)
  })

  it.each(formsOfNumber('+12025550123'))('is found as %j', (form) => {
    expect(found(`{"a":"${form}"}`)).toBe(true)
  })

  it.each([0, 1, 2, 3, 4])('is found in base64 behind %i other signs', (before) => {
    for (const secret of ['905318', '+12025550123']) {
      const text = Buffer.from(`${'x'.repeat(before)}${secret} is your code`)
      for (const encoded of [text.toString('base64'), text.toString('base64url'), text.toString('hex')])
        expect(found(encoded)).toBe(true)
    }
  })

  it('is not found where a meter happens to end like one half and to hold the other', () => {
    for (const meter of ['35916905 318 53', '249418 905 318', '35916905 318 53 35916904:265'])
      expect(found(`HSET\nkey\nfield\n${meter}`) || found(JSON.stringify({ field: meter }))).toBe(false)
    expect(found('35916905 318 is your code')).toBe(true)
  })

  it('is not found in ids, times, tags and MACs', () => {
    const { id, application, destinationTag, purpose } = OWNER
    const made = Array.from({ length: 2_000 }, () => [
      randomUUID(),
      randomBytes(16).toString('hex'),
      `${vault.macCode(codeOf('905318'), { id, application, destinationTag, purpose })} ${Date.now()}`,
      `${randomBytes(16).toString('base64url')}:${randomBytes(9).toString('base64url')}`,
      new Date().toISOString(),
    ])
    expect(tracesIn(made.flat().join('\n'), secrets, new Set())).toEqual([])
  })
})

describe.concurrent('after a run of everything', () => {
  it.for([
    ['debug', 'relay,rest'],
    ['info', 'rest'],
    ['warn', 'relay,rest'],
    ['error', 'relay,rest'],
    ['silent', 'relay,rest'],
  ] as const)(
    'with LOG_LEVEL=%s and PROVIDERS=%s no code and no number is anywhere',
    {
      timeout: 120_000,
    },
    async ([level, providers], { onTestFinished }) => {
      const began = Date.now()
      const run = await running({ LOG_LEVEL: level, PROVIDERS: providers }, onTestFinished)
      const { numbers, codes, streams } = await everything(run)
      const { service, client, said, received } = run
      await soon(() => expect(received.length).toBeGreaterThan(60))
      const held = await everythingIn(client)
      for (const code of pendingCodesIn(held)) codes.add(code)
      const measured = await metricsOf(service, run.metricsPort)
      const programs = [...service.workers, ...service.apis]
      for (const program of programs) program.kill('SIGTERM')
      await Promise.all(programs.map(({ ended }) => ended))
      await Promise.all(streams.map(({ ended }) => ended))
      const heard = streams.map(({ text }) => text).join('\n')
      const told = received.map(({ headers, body }) => `${JSON.stringify(headers)}\n${body}`).join('\n')
      const output = programs.map((program) => program.output()).join('\n')

      expect(codes.size).toBeGreaterThan(15)
      expect(numbers.size).toBeGreaterThan(18)
      expect(said.length).toBeGreaterThan(1_000)
      expect(output.split('\n').length > 60).toBe(level === 'debug' || level === 'info')
      expect(streams.length).toBeGreaterThan(10)
      for (const word of ['pending', 'approved', 'canceled', 'delivered']) expect(heard).toContain(word)
      for (const type of ['verification.approved', 'send.delivered', 'send.unknown', 'limit.reached'])
        expect(told).toContain(type)
      expect(said.join('\n'), 'events went through their queue').toContain('verification.approved')
      const explained = new Set([SENDER.slice(1), ...bucketsSince(began)])
      const traces = (text: string) => tracesIn(text, { numbers, codes }, explained)
      expect(traces(output), 'what the programs wrote').toEqual([])
      expect(traces(said.join('\n')), 'what Redis was told').toEqual([])
      expect(traces([...held].flat().join('\n')), 'what Redis holds').toEqual([])
      expect(traces(told), 'what the receiver of webhooks was told').toEqual([])
      expect(traces(heard), 'what those who follow were told').toEqual([])
      for (const name of ['sms2fa_attempts_total', 'sms2fa_checks_total', 'sms2fa_refusals_total'])
        expect(measured).toMatch(new RegExp(`^${name}\\{`, 'm'))
      expect(traces(measured), 'what metrics are called').toEqual([])
    },
  )
})
