/** What a person writes on a phone, as clients of the Realtime websocket hear it and as the inbox keeps it. */
import { createHmac } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { receiveCallbacks } from './callback-receiver.ts'
import { connectSdk, FROM, openSocket, order, phone, postForm, postJson, startSandbox } from './clients.ts'

const STOP = { from: phone('0100'), to: FROM, body: 'STOP' }

async function listening(...contexts: string[]) {
  const started = await startSandbox()
  const socket = await openSocket(started.port)
  await socket.authenticate(contexts)
  const post = (value: unknown, headers = {}) => postJson(`${started.url}/api/messages`, value, headers)
  const heard = () => socket.events().filter(({ direction }) => direction === 'inbound')
  return { ...started, socket, post, heard }
}

describe('an answer', () => {
  it('reaches the real SDK as a message that was received', async () => {
    const { sandbox, port } = await startSandbox()
    const { client } = await connectSdk(port)
    const received: unknown[] = []
    await client.messaging.listen({
      topics: ['otp'],
      onMessageReceived: ({ id, from, to, body, direction, state }) => {
        received.push({ id, from, to, body, direction, state })
      },
    })
    const { id } = sandbox.answer(STOP)
    await vi.waitFor(() => expect(received).toHaveLength(1))
    expect(received).toEqual([{ id, ...STOP, direction: 'inbound', state: 'received' }])
  })

  it('is told in the frame of SignalWire', async () => {
    const { post, heard } = await listening('otp')
    const response = await post(STOP)
    expect(response.status).toBe(201)
    const answered = (await response.json()) as { id: string }
    expect(answered).toMatchObject({ ...STOP, channel: 'sms', state: 'delivered' })
    await vi.waitFor(() => expect(heard()).toHaveLength(1))
    expect(heard()[0]).toEqual({
      message_id: answered.id,
      context: 'otp',
      direction: 'inbound',
      tags: [],
      from_number: STOP.from,
      to_number: STOP.to,
      body: 'STOP',
      media: [],
      segments: 1,
      message_state: 'received',
    })
  })

  it('goes to one of the clients that listen to the topic the number last wrote on', async () => {
    const { port, url } = await startSandbox()
    const [deaf, one, other] = [await openSocket(port), await openSocket(port), await openSocket(port)]
    await deaf.authenticate(['elsewhere'])
    await one.authenticate(['news', 'otp'])
    await other.authenticate(['otp'])
    await deaf.ask('messaging.send', order('0111', 'otp'))
    await postJson(`${url}/api/messages`, STOP)
    const heard = () => [...one.events(), ...other.events()]
    await vi.waitFor(() => expect(heard()).toHaveLength(1))
    await Promise.all([deaf, one, other].map((socket) => socket.ask('signalwire.ping', {})))
    expect(heard()).toMatchObject([{ context: 'otp', body: 'STOP' }])
    expect(deaf.events()).toEqual([])
  })

  it('goes there too when a message over REST came in between, which has no topic', async () => {
    const { url, socket, post, heard } = await listening('otp')
    await socket.ask('messaging.send', order('0111', 'otp'))
    const form = { From: FROM, To: phone('0100'), Body: 'hello' }
    const sent = await postForm(`${url}/api/laml/2010-04-01/Accounts/project/Messages`, form)
    expect(sent.status).toBe(201)
    await post(STOP)
    await vi.waitFor(() => expect(heard()).toMatchObject([{ context: 'otp', body: 'STOP' }]))
  })

  it('that nobody listens for is lost, and says so', async () => {
    const { url } = await startSandbox()
    const response = await postJson(`${url}/api/messages`, STOP)
    expect(response.status).toBe(201)
    expect(await response.json()).toMatchObject({ state: 'undelivered', reason: 'No client listens' })
  })

  it('is no message that arrived', async () => {
    const { sandbox, url, post } = await listening('otp')
    await post(STOP)
    expect(sandbox.messages()).toEqual([])
    expect(await (await fetch(`${url}/api/messages`)).json()).toEqual([])
  })

  it.each([
    { ...STOP, from: '2025550100' },
    { ...STOP, from: undefined },
    { ...STOP, to: 'ACME' },
    { ...STOP, body: '' },
    { ...STOP, body: 'x'.repeat(1_601) },
    { ...STOP, body: 7 },
    'null',
    '{',
  ])('like %j is refused with 422', async (value) => {
    const { post, heard } = await listening('otp')
    expect((await post(value)).status).toBe(422)
    expect(heard()).toEqual([])
  })

  it('of a short code or of the longest text is taken', async () => {
    const { post } = await listening('otp')
    expect((await post({ ...STOP, to: '54321' })).status).toBe(201)
    expect((await post({ ...STOP, body: 'x'.repeat(1_600) })).status).toBe(201)
  })

  it('from another site is not taken', async () => {
    const { url, heard } = await listening('otp')
    const response = await fetch(`${url}/api/messages`, {
      method: 'POST',
      headers: {
        'content-type': 'text/plain',
        origin: 'https://example.com',
        'sec-fetch-site': 'cross-site',
      },
      body: JSON.stringify(STOP),
    })
    expect(response.status).toBe(403)
    expect(heard()).toEqual([])
  })
})

describe('the form of a phone', () => {
  const send = (
    url: string,
    fields: Record<string, string>,
    headers: Record<string, string> = { origin: url },
  ) =>
    fetch(`${url}/answer`, { method: 'POST', redirect: 'manual', headers, body: new URLSearchParams(fields) })

  it('answers whoever wrote last, and leads back to the phone', async () => {
    const { url, socket, heard } = await listening('otp')
    await socket.ask('messaging.send', { ...order('0100'), from_number: '+12025550198' })
    await socket.ask('messaging.send', order('0100'))
    const response = await send(url, { from: phone('0100'), body: 'STOP' })
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toBe(`/?to=${encodeURIComponent(phone('0100'))}`)
    await vi.waitFor(() => expect(heard()).toMatchObject([{ to_number: FROM, body: 'STOP' }]))
    const page = await (await fetch(`${url}/?to=${encodeURIComponent(phone('0100'))}`)).text()
    expect(page).toMatch(/data-direction="inbound"[\s\S]*>STOP</)
  })

  it('is there on the page of one phone only', async () => {
    const { url, socket } = await listening('otp')
    await socket.ask('messaging.send', order('0100'))
    expect(await (await fetch(url)).text()).not.toContain('action="/answer"')
    expect(await (await fetch(`${url}/?to=%2B12025550100`)).text()).toContain('action="/answer"')
  })

  it.each<[why: string, fields: Record<string, string>]>([
    ['nobody wrote to the phone', { from: phone('0120'), body: 'STOP' }],
    ['there is no text', { from: phone('0100'), body: '' }],
    ['the phone is not named', { body: 'STOP' }],
    ['the text is not there', { from: phone('0100') }],
  ])('sends nothing when %s', async (_, fields) => {
    const { url, socket, heard } = await listening('otp')
    await socket.ask('messaging.send', order('0100'))
    expect((await send(url, fields)).status).toBe(303)
    await socket.ask('signalwire.ping', {})
    expect(heard()).toEqual([])
  })

  it('is deaf to other sites', async () => {
    const { url, socket, heard } = await listening('otp')
    await socket.ask('messaging.send', order('0100'))
    const elsewhere = { origin: 'https://example.com', 'sec-fetch-site': 'cross-site' }
    expect((await send(url, { from: phone('0100'), body: 'STOP' }, elsewhere)).status).toBe(403)
    expect(heard()).toEqual([])
  })
})

describe('where numbers are pointed at a URL', () => {
  it('an answer is posted there, signed, and not told over the websocket', async () => {
    const receiver = await receiveCallbacks()
    const inboundUrl = receiver.url
    const { sandbox, port } = await startSandbox({ inboundUrl, signingKey: 'key' })
    const socket = await openSocket(port)
    await socket.authenticate(['otp'])
    const { id } = sandbox.answer(STOP)
    await vi.waitFor(() => expect(receiver.posts).toHaveLength(1))
    const [{ type, signature, body } = { type: '', signature: '', body: '' }] = receiver.posts
    const fields = Object.fromEntries(new URLSearchParams(body))
    expect(fields).toMatchObject({ MessageSid: id, From: STOP.from, To: STOP.to, Body: 'STOP' })
    const base = `${inboundUrl}${Object.entries(fields).sort().flat().join('')}`
    expect(type).toBe('application/x-www-form-urlencoded')
    expect(signature).toBe(createHmac('sha1', 'key').update(base).digest('base64'))
    await socket.ask('signalwire.ping', {})
    expect(socket.events()).toEqual([])
  })
})
