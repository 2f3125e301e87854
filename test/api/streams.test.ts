/** Server-Sent Events of one verification, over a real port: how things stand, what changes, and every way it ends. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createKeyRing, type KeyRing } from '#api/key-ring.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import type { ApiKey } from '#verification/api-key.ts'
import type { Application, VerificationId } from '#verification/verification.ts'
import { type Api, apiKey, apiOn, expectProblem, KEYS, WITH_KEYS } from './api.ts'
import { complaintsAbout } from './document.ts'
import { listen } from './port.ts'

const connection = useRedis()
const DEFAULT = 'default' as Application
const mayRead = () => true
const FAST = { lookMs: 10, beatMs: 10_000 }
const eventually = <T>(read: () => T | Promise<T>) => vi.waitFor(read, { timeout: 10_000, interval: 10 })

type Heard = {
  id?: string
  event?: string
  data?: Record<string, unknown>
  retry?: string
  comment?: boolean
}

/** One block of a stream, as the HTML standard reads it. */
function heardIn(block: string): Heard {
  const heard: Heard = {}
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? []
    if (name === '') heard.comment = true
    else if (name === 'data') heard.data = JSON.parse(value)
    else if (name === 'id' || name === 'event' || name === 'retry') heard[name] = value
  }
  return heard
}

/** Reads along until the other end closes, or `leave` is called. */
async function follow(url: string, headers: Record<string, string> = {}) {
  const leaving = new AbortController()
  const response = await fetch(url, { headers, signal: leaving.signal })
  const heard: Heard[] = []
  let text = ''
  const read = async () => {
    for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += part
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      heard.push(...blocks.map(heardIn))
    }
  }
  const ended = read().catch(() => 'cut off')
  onTestFinished(() => leaving.abort())
  return {
    response,
    heard,
    ended,
    leave: () => leaving.abort(),
    told: (event: string) => heard.filter((one) => one.event === event),
    names: () => heard.flatMap(({ event }) => event ?? []),
  }
}

async function started(options: Parameters<typeof apiOn>[1] = {}) {
  const api = apiOn(connection.redis, { ...options, streams: { ...FAST, ...options.streams } })
  const { origin, port } = await listen(api.app)
  onTestFinished(() => api.streams.stop())
  const { id, code, wrong, to } = await api.start()
  const send = { application: DEFAULT, verification: id as VerificationId, send: 1 }
  return { api, origin, port, id, code, wrong, to, send, url: `${origin}/v1/verifications/${id}/events` }
}

function ringOf(keys: readonly ApiKey[]): KeyRing {
  const ring = createKeyRing({ production: false })
  ring.setConfigured(keys)
  ring.setStored({ keys: [], everMade: false })
  return ring
}

const accept = async ({ store }: Api, send: Parameters<Api['store']['deliveries']['claim']>[0]) => {
  await store.deliveries.claim(send, 'one')
  await store.deliveries.record(send, {
    token: 'one',
    outcome: { kind: 'accepted', messageId: 'm-1' },
    waitMs: 0,
  })
}
const receipt = ({ store }: Api, send: Parameters<Api['store']['deliveries']['claim']>[0]) =>
  store.deliveries.takeReceipt(send, { messageId: 'm-1', state: 'delivered' })

describe('a stream', () => {
  it('says how things stand, each change once, and ends when all is said', async () => {
    const { api, url, id, code, wrong, send } = await started()
    const stream = await follow(url)
    await eventually(() => expect(stream.names()).toEqual(['status', 'delivery']))
    expect(stream.heard[0]).toEqual({ retry: '2000' })
    expect(stream.told('status')[0]?.data).toMatchObject({ id, status: 'pending', checks_left: 5 })
    expect(stream.told('delivery')[0]?.data).toMatchObject({ status: 'queued', send: 1 })
    await accept(api, send)
    await eventually(() => expect(stream.told('delivery').at(-1)?.data).toMatchObject({ status: 'accepted' }))
    await api.post(`/v1/verifications/${id}/checks`, { code: wrong })
    await eventually(() => expect(stream.told('status').at(-1)?.data).toMatchObject({ checks_left: 4 }))
    await api.post(`/v1/verifications/${id}/checks`, { code })
    await eventually(() => expect(stream.told('status').at(-1)?.data).toMatchObject({ status: 'approved' }))
    expect(stream.names()).not.toContain('end')
    await receipt(api, send)
    await stream.ended
    expect(stream.names().slice(-2)).toEqual(['delivery', 'end'])
    expect(stream.told('delivery').at(-1)?.data).toMatchObject({ status: 'delivered' })
    const said = stream.heard.map((one) => JSON.stringify([one.event, one.data]))
    expect(new Set(said).size).toBe(said.length)
    expect(api.streams.count()).toBe(0)
  })

  it('has the headers that keep it from being stored or held back, and is what the document says', async () => {
    const { api, url, send, id, code } = await started()
    await accept(api, send)
    await receipt(api, send)
    await api.post(`/v1/verifications/${id}/checks`, { code })
    const response = await fetch(url)
    expect(response.status).toBe(200)
    expect(response.headers.get('Content-Type')).toBe('text/event-stream')
    expect(response.headers.get('Cache-Control')).toBe('no-store')
    expect(response.headers.get('X-Accel-Buffering')).toBe('no')
    expect(response.headers.get('X-Request-Id')).toBeTruthy()
    const body = await response.text()
    const path = '/v1/verifications/{id}/events'
    const { headers } = response
    expect(
      complaintsAbout({ path, method: 'get', status: 200, type: 'text/event-stream', body, headers }),
    ).toEqual([])
  })

  it('holds neither the code nor the number', async () => {
    const { api, url, id, code, to } = await started()
    await api.post(`/v1/verifications/${id}/checks`, { code })
    const text = await (await fetch(url)).text()
    expect(text).toContain('approved')
    expect(text).not.toContain(code)
    expect(text).not.toContain(to.slice(1))
  })

  it('goes on where its reader was, by Last-Event-ID', async () => {
    const { api, url, id, wrong } = await started()
    const first = await follow(url)
    await eventually(() => expect(first.names()).toEqual(['status', 'delivery']))
    first.leave()
    await api.post(`/v1/verifications/${id}/checks`, { code: wrong })
    const second = await follow(url, { 'Last-Event-ID': String(first.heard.at(-1)?.id) })
    await eventually(() => expect(second.names()).toEqual(['status']))
    expect(second.told('status')[0]?.data).toMatchObject({ checks_left: 4 })
  })

  it.each(['', 'x', '123456789012.', '../..'])(
    'after a Last-Event-ID of %j says everything',
    async (lastId) => {
      const { url } = await started()
      const stream = await follow(url, { 'Last-Event-ID': lastId })
      await eventually(() => expect(stream.names()).toEqual(['status', 'delivery']))
    },
  )

  it('that was read to its end is 204 when it is asked for again: an EventSource does not come back', async () => {
    const { api, url, id } = await started()
    await api.send('DELETE', `/v1/verifications/${id}`)
    const stream = await follow(url)
    await stream.ended
    expect(stream.names()).toEqual(['status', 'delivery', 'end'])
    const lastId = String(stream.told('delivery')[0]?.id)
    expect((await fetch(url, { headers: { 'Last-Event-ID': lastId } })).status).toBe(204)
    expect((await fetch(url)).status).toBe(200)
  })

  it('of a code whose time runs out says so by itself', async () => {
    const { url } = await started({ policy: { codeTtlMs: 400 } })
    const stream = await follow(url)
    await eventually(() => expect(stream.told('status').at(-1)?.data).toMatchObject({ status: 'expired' }))
  })

  it('of a verification that is gone ends', async () => {
    const { api, url, id } = await started()
    const stream = await follow(url)
    await eventually(() => expect(stream.names()).toEqual(['status', 'delivery']))
    await connection.redis.del(api.store.keys.verification(DEFAULT, id as VerificationId))
    await stream.ended
    expect(stream.names().at(-1)).toBe('end')
  })

  it('on which nothing happens beats, so that it does not look dead', async () => {
    const { url } = await started({ streams: { beatMs: 30 } })
    const stream = await follow(url)
    await eventually(() => expect(stream.heard.filter(({ comment }) => comment).length).toBeGreaterThan(2))
    expect(stream.names()).toEqual(['status', 'delivery'])
  })

  it('lives through a Redis that does not answer', async () => {
    let away = true
    const api = apiOn(connection.redis)
    const { id, wrong } = await api.start()
    const readMany: typeof api.store.verifications.readMany = (asked) =>
      away ? Promise.reject(new Error('away')) : api.store.verifications.readMany(asked)
    const through = apiOn(connection.redis, { streams: { ...FAST, beatMs: 20, readMany } })
    const view = await api.store.verifications.read(DEFAULT, id as VerificationId)
    if (!view) throw new Error('no view')
    const body = through.streams.open({ application: DEFAULT, id: view.id, mayRead }, view)
    onTestFinished(() => through.streams.stop())
    const heard: string[] = []
    void (async () => {
      for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) heard.push(part)
    })()
    await eventually(() => expect(heard.filter((part) => part === ':\n\n').length).toBeGreaterThan(0))
    await api.post(`/v1/verifications/${id}/checks`, { code: wrong })
    away = false
    await eventually(() => expect(heard.join('')).toContain('"checks_left":4'))
  })
})

describe('a reader', () => {
  it('that leaves gives its place back', async () => {
    const { api, url } = await started()
    const stream = await follow(url)
    await eventually(() => expect(api.streams.count()).toBe(1))
    stream.leave()
    await eventually(() => expect(api.streams.count()).toBe(0))
    expect(api.lines.at(-1)).toMatchObject({ msg: 'stream ended', result: 'left' })
  })

  it('whose connection breaks gives its place back', async () => {
    const { api, port, id } = await started()
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET /v1/verifications/${id}/events HTTP/1.1\r\nHost: x\r\n\r\n`)
    await once(socket, 'data')
    expect(api.streams.count()).toBe(1)
    socket.resetAndDestroy()
    await eventually(() => expect(api.streams.count()).toBe(0))
  })

  it('that does not read is not written to for ever, and gets the newest state when it does', async () => {
    const { api, id } = await started({ policy: { checksMax: 10 } })
    const view = await api.store.verifications.read(DEFAULT, id as VerificationId)
    if (!view) throw new Error('no view')
    const asked: number[] = []
    const readMany = async () => {
      asked.push(asked.length)
      return [{ ...view, checksLeft: asked.length }]
    }
    const slow = apiOn(connection.redis, { streams: { ...FAST, lookMs: 1, readMany } })
    onTestFinished(() => slow.streams.stop())
    const body = slow.streams.open({ application: DEFAULT, id: view.id, mayRead }, view)
    await eventually(() => expect(asked.length).toBeGreaterThan(100))
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
    const parts: string[] = []
    const next = async () => parts.push((await reader?.read())?.value ?? '')
    await next()
    const seen = asked.length
    const told = () => parts.flatMap((part) => /"checks_left":(\d+)/.exec(part)?.[1] ?? []).map(Number)
    while ((told().at(-1) ?? 0) < seen) await next()
    // What lay there when it began to read, and then the newest.
    expect(parts.length).toBeLessThan(20)
  })

  it('too many in a process, or of an application, is refused until one has left', async () => {
    const limits = { max: 3, applicationMax: 2 }
    const api = apiOn(connection.redis, { config: WITH_KEYS, streams: { ...FAST, limits } })
    const { origin } = await listen(api.app)
    onTestFinished(() => api.streams.stop())
    const as = (key: string) => ({ Authorization: `Bearer ${key}` })
    const events = async (name: 'shop' | 'bank') => {
      const { id } = await api.start(as(KEYS[name]), name as Application)
      return `${origin}/v1/verifications/${id}/events`
    }
    const ask = async (name: 'shop' | 'bank') => follow(await events(name), as(KEYS[name]))
    const first = await ask('shop')
    await ask('shop')
    const third = await fetch(await events('shop'), { headers: as(KEYS.shop) })
    expect(third.headers.get('Retry-After')).toBe('5')
    await expectProblem(third, 429, 'stream_limit')
    await ask('bank')
    await expectProblem(await fetch(await events('bank'), { headers: as(KEYS.bank) }), 429, 'stream_limit')
    first.leave()
    await eventually(() => expect(api.streams.count()).toBe(2))
    expect((await ask('shop')).response.status).toBe(200)
  })

  it('of another application, or of what is not there, gets 404', async () => {
    const api = apiOn(connection.redis, { config: WITH_KEYS, streams: FAST })
    const { id } = await api.start({ Authorization: `Bearer ${KEYS.shop}` }, 'shop' as Application)
    const bank = { Authorization: `Bearer ${KEYS.bank}` }
    for (const path of [`/v1/verifications/${id}/events`, '/v1/verifications/x/events'])
      await expectProblem(await api.get(path, bank), 404, 'unknown_verification')
    await expectProblem(await api.get(`/v1/verifications/${id}/events`), 401, 'unauthorized')
    expect(api.streams.count()).toBe(0)
  })

  it.each<[string, (ring: KeyRing) => void]>([
    ['whose key has left the file', (ring) => ring.setConfigured([])],
    ['whose key may no longer read', (ring) => ring.setConfigured([apiKey('shop', KEYS.shop, ['send'])])],
    ['whose key is another’s now', (ring) => ring.setConfigured([apiKey('bank', KEYS.shop)])],
  ])('%s is told nothing more and let go', async (_, revoke) => {
    const ring = ringOf([apiKey('shop', KEYS.shop), apiKey('bank', KEYS.bank)])
    const api = apiOn(connection.redis, { ring, streams: FAST })
    const { origin } = await listen(api.app)
    onTestFinished(() => api.streams.stop())
    const shop = { Authorization: `Bearer ${KEYS.shop}` }
    const { id } = await api.start(shop, 'shop' as Application)
    const stream = await follow(`${origin}/v1/verifications/${id}/events`, shop)
    await eventually(() => expect(stream.names()).toEqual(['status', 'delivery']))
    revoke(ring)
    await api.store.verifications.cancel('shop' as Application, id as VerificationId)
    expect(await stream.ended).toBeUndefined()
    expect(stream.names()).toEqual(['status', 'delivery'])
    expect(api.lines.at(-1)).toMatchObject({ msg: 'stream ended', result: 'revoked' })
  })

  it('without a key is let go when the first key is made', async () => {
    const ring = ringOf([])
    const api = apiOn(connection.redis, { ring, streams: FAST })
    const { origin } = await listen(api.app)
    onTestFinished(() => api.streams.stop())
    const { id } = await api.start()
    const stream = await follow(`${origin}/v1/verifications/${id}/events`)
    await eventually(() => expect(stream.names()).toEqual(['status', 'delivery']))
    ring.setConfigured([apiKey('shop', KEYS.shop)])
    expect(await stream.ended).toBeUndefined()
    expect(stream.names()).toEqual(['status', 'delivery'])
  })

  it('whose key lives goes on while others’ are revoked', async () => {
    const ring = ringOf([apiKey('shop', KEYS.shop), apiKey('bank', KEYS.bank)])
    const api = apiOn(connection.redis, { ring, streams: FAST })
    const { origin } = await listen(api.app)
    onTestFinished(() => api.streams.stop())
    const shop = { Authorization: `Bearer ${KEYS.shop}` }
    const { id } = await api.start(shop, 'shop' as Application)
    const stream = await follow(`${origin}/v1/verifications/${id}/events`, shop)
    await eventually(() => expect(stream.names()).toEqual(['status', 'delivery']))
    ring.setConfigured([apiKey('shop', KEYS.shop)])
    await api.store.verifications.cancel('shop' as Application, id as VerificationId)
    await stream.ended
    expect(stream.names().at(-1)).toBe('end')
  })

  it('with HEAD gets the headers and takes no place', async () => {
    const { api, url } = await started()
    const response = await fetch(url, { method: 'HEAD' })
    expect([response.status, response.headers.get('Content-Type')]).toEqual([200, 'text/event-stream'])
    expect(api.streams.count()).toBe(0)
  })

  it('shares one question with all others of a process', async () => {
    const asked: number[] = []
    const base = apiOn(connection.redis)
    const { id } = await base.start()
    const other = (await base.start()).id
    const view = await base.store.verifications.read(DEFAULT, id as VerificationId)
    if (!view) throw new Error('no view')
    const readMany: typeof base.store.verifications.readMany = (list) => {
      asked.push(list.length)
      return base.store.verifications.readMany(list)
    }
    const api = apiOn(connection.redis, { streams: { ...FAST, readMany } })
    onTestFinished(() => api.streams.stop())
    for (const of of [id, id, id, other])
      api.streams.open({ application: DEFAULT, id: of as VerificationId, mayRead }, view)
    await eventually(() => expect(asked.length).toBeGreaterThan(2))
    expect(new Set(asked)).toEqual(new Set([2]))
  })
})

describe('when the program stops', () => {
  it('every stream is closed without an end, so that its reader comes back elsewhere, and no new one begins', async () => {
    const { api, url } = await started()
    const streams = [await follow(url), await follow(url)]
    await eventually(() => expect(api.streams.count()).toBe(2))
    api.streams.stop()
    for (const stream of streams) {
      expect(await stream.ended).toBeUndefined()
      expect(stream.names()).toEqual(['status', 'delivery'])
    }
    await expectProblem(await fetch(url), 429, 'stream_limit')
  })
})
