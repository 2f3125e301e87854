import { describe, expect, it, vi } from 'vitest'
import { ORDINARY, SCENARIOS, scenarioFor } from '#sandbox/scenarios.ts'
import { connectSdk, openSocket, order, phone, startSandbox } from './clients.ts'

describe('the table of destinations', () => {
  it('names every ending from 0100 to 0116 once, in order', () => {
    const endings = Array.from({ length: 17 }, (_, index) => `01${String(index).padStart(2, '0')}`)
    expect(SCENARIOS.map(({ ending }) => ending)).toEqual(endings)
  })

  it.each(['+12025550117', '+12025550199', '+447700900123', '+33612345678', ''])(
    'treats %j as ordinary',
    (to) => {
      expect(scenarioFor(to)).toBe(ORDINARY)
    },
  )

  it('delivers ordinary messages within half a second and late ones after 15 seconds', () => {
    expect(ORDINARY.steps.at(-1)).toMatchObject({ state: 'delivered', atMs: 450 })
    expect(scenarioFor(phone('0101')).steps.at(-1)).toMatchObject({ state: 'delivered', atMs: 15_000 })
    expect(scenarioFor(phone('0113')).reply).toMatchObject({ afterMs: 3_000 })
  })
})

const ALL_THE_WAY = ['queued', 'initiated', 'sent', 'delivered']

describe('what the real SDK is told', () => {
  it.each([
    { ending: '0100', states: ALL_THE_WAY },
    { ending: '0199', states: ALL_THE_WAY },
    { ending: '0101', states: ALL_THE_WAY },
    { ending: '0113', states: ALL_THE_WAY },
    {
      ending: '0102',
      states: ['queued', 'initiated', 'sent', 'undelivered'],
      reason: 'Unreachable destination handset',
    },
    { ending: '0103', states: ['queued', 'failed'], reason: 'Landline or unreachable carrier' },
    { ending: '0108', states: ['sent', 'delivered', 'queued', 'sent', 'initiated', 'queued', 'delivered'] },
  ])('a message to $ending is accepted and goes through $states', async ({ ending, states, reason }) => {
    const { sandbox, port } = await startSandbox()
    const { send, updates } = await connectSdk(port)

    const { code, messageId } = await send(phone(ending))
    await vi.waitFor(() => expect(updates.map(({ state }) => state)).toEqual(states))

    expect(code).toBe('200')
    expect(new Set(updates.map(({ id }) => id))).toEqual(new Set([messageId]))
    expect(updates.at(-1)).toMatchObject({ reason, tags: ['v-1'] })
    const final = states.includes('delivered') ? 'delivered' : states.at(-1)
    expect(sandbox.messages()).toMatchObject([{ id: messageId, to: phone(ending), state: final }])
  })

  it.each([
    { ending: '0104', refusal: { code: '400' } },
    { ending: '0105', refusal: { code: '429' } },
    { ending: '0110', refusal: { code: -32603 } },
  ])(
    'a message to $ending is refused with $refusal.code and does not arrive',
    async ({ ending, refusal }) => {
      const { sandbox, port } = await startSandbox()
      const { send } = await connectSdk(port)
      await expect(send(phone(ending))).rejects.toMatchObject(refusal)
      expect(sandbox.messages()).toEqual([])
    },
  )

  it('a busy number takes the same text the third time, and another text is counted apart', async () => {
    const { sandbox, port } = await startSandbox()
    const { send } = await connectSdk(port)
    const busy = { code: '429' }
    await expect(send(phone('0105'), 'one')).rejects.toMatchObject(busy)
    await expect(send(phone('0105'), 'one')).rejects.toMatchObject(busy)
    await expect(send(phone('0105'), 'two')).rejects.toMatchObject(busy)
    await expect(send(phone('0105'), 'one')).resolves.toMatchObject({ code: '200' })
    expect(sandbox.messages().map(({ body }) => body)).toEqual(['one'])
  })

  it('a message to 0107 arrives although the connection is lost before the answer', async () => {
    const { sandbox, port } = await startSandbox()
    const { send } = await connectSdk(port)
    await expect(send(phone('0107'))).rejects.toBe(Symbol.for('sw-execute-connection-closed'))
    await vi.waitFor(() => expect(sandbox.messages()).toMatchObject([{ state: 'delivered' }]))
  })

  it('a message to 0109 is accepted without an id and arrives, its receipts with one', async () => {
    const { sandbox, port } = await startSandbox()
    const { send, updates } = await connectSdk(port)
    expect(await send(phone('0109'))).toEqual({ code: '200', message: 'Message accepted' })
    await vi.waitFor(() => expect(updates.at(-1)?.state).toBe('delivered'))
    expect(updates.at(-1)?.id).toBe(sandbox.messages()[0]?.id)
  })
})

describe('what the frames show', () => {
  it('a message to 0106 is never answered and does not arrive', async () => {
    const { sandbox, port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate()
    const id = socket.tell('messaging.send', order('0106'))
    await socket.ask('signalwire.ping', {})
    expect(socket.replyTo(id)).toBeUndefined()
    expect(sandbox.messages()).toEqual([])
  })

  it('the first news of a message to 0108 comes before its reply', async () => {
    const { port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate(['otp'])
    const reply = await socket.ask('messaging.send', order('0108'))
    const [, event, answer] = socket.frames
    expect(event?.params).toMatchObject({ event_type: 'messaging.state', params: { message_state: 'sent' } })
    expect(answer).toBe(reply)
  })

  it('a message to 0111 is accepted and no news of it ever comes', async () => {
    const { sandbox, port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate(['otp'])
    const silent = await socket.ask('messaging.send', order('0111'))
    await socket.ask('messaging.send', order('0100'))
    await vi.waitFor(() => expect(socket.events().at(-1)?.message_state).toBe('delivered'))
    const id = silent.result?.message_id
    expect(sandbox.messages(phone('0111'))).toMatchObject([{ id, state: 'queued' }])
    expect(socket.events().map((event) => event.message_id)).not.toContain(id)
  })

  it('a message to 0112 brings a goodbye, no answer to anything, and the end of the connection', async () => {
    const { sandbox, port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate()
    socket.tell('messaging.send', order('0112'))
    socket.tell('messaging.send', order('0100'))
    await socket.closed
    expect(socket.frames.slice(1)).toMatchObject([
      { method: 'signalwire.disconnect', params: { restart: true } },
    ])
    expect(sandbox.messages()).toEqual([])
  })

  it('a message to 0113 is answered after what was asked later', async () => {
    const { port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate()
    const slow = socket.ask('messaging.send', order('0113'))
    const quick = await socket.ask('signalwire.ping', {})
    const reply = await slow
    expect(socket.frames.slice(1)).toEqual([quick, reply])
    expect(reply.result).toMatchObject({ code: '200' })
  })
})
