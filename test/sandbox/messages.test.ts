import { describe, expect, it, vi } from 'vitest'
import { createInbox } from '#sandbox/inbox.ts'
import { FROM, openSocket, order, phone, postJson, startSandbox } from './clients.ts'

async function send(url: string, ending: string, body = 'Your code is 482913') {
  await postJson(`${url}/api/messaging/messages`, { to: phone(ending), from: FROM, body })
}

const listAt = async (url: string) => (await fetch(url)).json()

describe('the list of what arrived', () => {
  it('shows the newest first, with its state, reason and time', async () => {
    const { sandbox, url } = await startSandbox()
    await send(url, '0100', 'one')
    await send(url, '0102', 'two')
    await vi.waitFor(() => expect(sandbox.messages()[0]?.state).toBe('undelivered'))
    await vi.waitFor(() => expect(sandbox.messages()[1]?.state).toBe('delivered'))
    const common = { id: expect.any(String), from: FROM, channel: 'sms', tags: [] }
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(await listAt(`${url}/api/messages`)).toEqual([
      {
        ...common,
        to: phone('0102'),
        body: 'two',
        state: 'undelivered',
        reason: 'Unreachable destination handset',
        at,
      },
      { ...common, to: phone('0100'), body: 'one', state: 'delivered', at },
    ])
  })

  it('shows one phone when asked for it', async () => {
    const { url } = await startSandbox()
    await send(url, '0100')
    await send(url, '0120')
    const query = new URLSearchParams({ to: phone('0120') })
    expect(await listAt(`${url}/api/messages?${query}`)).toMatchObject([{ to: phone('0120') }])
    expect(await listAt(`${url}/api/messages?to=%2B1`)).toEqual([])
  })

  it('knows a phone by its plus, escaped or as it is typed, and no phone as all of them', async () => {
    const { url } = await startSandbox()
    await send(url, '0100')
    await send(url, '0120')
    expect(await listAt(`${url}/api/messages?to=${phone('0120')}`)).toMatchObject([{ to: phone('0120') }])
    expect(await (await fetch(`${url}/?to=${phone('0120')}`)).text()).toContain(
      `name="from" value="${phone('0120')}"`,
    )
    expect(await listAt(`${url}/api/messages?to=`)).toHaveLength(2)
  })

  it.each([
    { sent: 2, kept: ['2', '1'] },
    { sent: 3, kept: ['3', '2', '1'] },
    { sent: 4, kept: ['4', '3', '2'] },
  ])('keeps the newest three of $sent when it holds three', async ({ sent, kept }) => {
    const { sandbox, url } = await startSandbox({ capacity: 3 })
    for (let number = 1; number <= sent; number += 1) await send(url, '0100', String(number))
    expect(sandbox.messages().map(({ body }) => body)).toEqual(kept)
  })

  it('is emptied by DELETE, which also starts the busy number afresh', async () => {
    const { sandbox, url } = await startSandbox()
    await send(url, '0100')
    await send(url, '0105')
    await send(url, '0105')
    const response = await fetch(`${url}/api/messages`, { method: 'DELETE' })
    expect(response.status).toBe(204)
    expect(await listAt(`${url}/api/messages`)).toEqual([])
    await send(url, '0105')
    expect(sandbox.messages()).toEqual([])
  })
})

describe('the state of a message', () => {
  it('never goes backwards, however late the news', () => {
    const inbox = createInbox(1)
    const draft = {
      to: phone('0100'),
      from: FROM,
      body: 'x',
      channel: 'sms',
      context: 'otp',
      tags: [],
    } as const
    const message = inbox.add(draft)
    const states = (['sent', 'initiated', 'delivered', 'sent', 'failed'] as const).map((state) => {
      inbox.advance(message, { state, atMs: 0 })
      return message.state
    })
    expect(states).toEqual(['sent', 'sent', 'delivered', 'delivered', 'delivered'])
  })
})

describe('the settings', () => {
  const put = (url: string, body: string) => fetch(`${url}/api/settings`, { method: 'PUT', body })

  it.each([0, 1, 60_000])('take a latency of %d ms', async (latency_ms) => {
    const { url } = await startSandbox()
    const response = await put(url, JSON.stringify({ latency_ms }))
    expect(response.status).toBe(200)
    expect(await listAt(`${url}/api/settings`)).toEqual({ latency_ms })
  })

  it.each(['{"latency_ms":-1}', '{"latency_ms":60001}', '{"latency_ms":1.5}', '{}', '{', 'null'])(
    'refuse %s with 422 and stay as they were',
    async (body) => {
      const { url } = await startSandbox({ latencyMs: 3 })
      expect((await put(url, body)).status).toBe(422)
      expect(await listAt(`${url}/api/settings`)).toEqual({ latency_ms: 3 })
    },
  )

  it('delay replies on the websocket and over REST, but not the arrival', async () => {
    const { sandbox, port, url } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate()
    sandbox.setLatency(40)
    const startedAt = performance.now()
    const reply = socket.ask('messaging.send', order('0100'))
    await vi.waitFor(() => expect(sandbox.messages()).toHaveLength(1), { interval: 1 })
    expect(socket.frames).toHaveLength(1)
    await reply
    await send(url, '0100')
    expect(performance.now() - startedAt).toBeGreaterThan(78)
  })
})

describe('the stream', () => {
  it('begins with what is there, then tells of arrivals, new states and the emptying', async () => {
    const { sandbox, url } = await startSandbox()
    await send(url, '0111', 'before')
    const stream = await openStream(`${url}/api/messages/stream`)
    expect(await stream.next()).toMatchObject({ event: 'snapshot', messages: [{ body: 'before', code: '' }] })

    await send(url, '0100')
    const seen = new Map<string, string>()
    while (seen.get(phone('0100')) !== 'delivered') {
      const { event, messages } = await stream.next()
      expect(event).toBe('messages')
      for (const { to, state, code } of messages) seen.set(to, code === '482913' ? state : '')
    }
    sandbox.clear()
    expect(await stream.next()).toEqual({ event: 'snapshot', messages: [] })
  })

  it('tells of one phone when asked for it', async () => {
    const { url } = await startSandbox()
    const stream = await openStream(`${url}/api/messages/stream?to=${encodeURIComponent(phone('0111'))}`)
    await stream.next()
    await send(url, '0100')
    await send(url, '0111')
    expect((await stream.next()).messages).toMatchObject([{ to: phone('0111') }])
  })
})

type StreamEvent = { event: string; messages: { to: string; state: string; code: string; body: string }[] }

/** Reads server-sent events one at a time. */
async function openStream(url: string) {
  const response = await fetch(url)
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  const events = readEvents(response.body ?? new ReadableStream())
  return {
    async next(): Promise<StreamEvent> {
      const { value } = await events.next()
      return value ?? { event: 'end', messages: [] }
    },
  }
}

async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent, undefined> {
  let text = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
      if (event && data) yield { event, messages: JSON.parse(data) }
    }
  }
}
