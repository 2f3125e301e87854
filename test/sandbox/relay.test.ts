import { SignalWire } from '@signalwire/realtime-api'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openSocket, order, startSandbox } from './clients.ts'

const UNAUTHORIZED = 'Authentication service failed with status ProtocolError, 401 Unauthorized: {}'

describe('connecting', () => {
  it('answers with a protocol that carries the signature of the session', async () => {
    const { port } = await startSandbox()
    const socket = await openSocket(port)
    const authentication = { project: 'any', token: 'thing' }
    const { result } = await socket.ask('signalwire.connect', { authentication })
    const signature = String(result?.protocol).split('_')[1]
    expect(signature).toHaveLength(32)
    expect(result).toMatchObject({
      protocol: expect.stringMatching(/^signalwire_/),
      authorization: { signature },
    })
  })

  it.each([
    { project: 'wrong', token: 'token' },
    { project: 'project', token: 'wrong' },
    { project: 'project', token: '' },
    { project: 'project' },
    undefined,
  ])('refuses %j', async (authentication) => {
    const { port } = await startSandbox()
    const socket = await openSocket(port)
    const { error } = await socket.ask('signalwire.connect', { authentication })
    expect(error).toEqual({ code: -32002, message: UNAUTHORIZED })
  })

  it('is reported to the real SDK as unauthorized when the token is wrong', async () => {
    const { port } = await startSandbox()
    const onAuthError = vi.fn()
    const host = `ws://127.0.0.1:${port}`
    const listen = { onAuthError }
    const client = await SignalWire({ project: 'project', token: 'wrong', host, logLevel: 'silent', listen })
    onTestFinished(() => void client.disconnect())
    expect(client.authStatus).toBe('unauthorized')
    expect(onAuthError).toHaveBeenCalledOnce()
  })

  it.each(['messaging.send', 'signalwire.receive'])(
    'comes before %s, which is refused until then',
    async (method) => {
      const { sandbox, port } = await startSandbox()
      const socket = await openSocket(port)
      const { error } = await socket.ask(method, order('0100'))
      expect(error).toEqual({ code: -32002, message: UNAUTHORIZED })
      expect(sandbox.messages()).toEqual([])
    },
  )

  it('is possible on / only', async () => {
    const { port } = await startSandbox()
    await expect(openSocket(port, '/elsewhere')).rejects.toThrow('404')
    await expect(openSocket(port, '/?a=b')).resolves.toBeDefined()
  })
})

describe('sending', () => {
  it.each([
    { wrong: { to_number: '2025550100' }, names: ['to_number'] },
    { wrong: { from_number: undefined }, names: ['from_number'] },
    { wrong: { body: '' }, names: ['body'] },
    { wrong: { body: 'x'.repeat(1_601) }, names: ['body'] },
    { wrong: { to_number: 7, body: 7 }, names: ['to_number', 'body'] },
  ])('answers 400 and names what is wrong: $names', async ({ wrong, names }) => {
    const { port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate()
    const { result } = await socket.ask('messaging.send', { ...order('0100'), ...wrong })
    expect(result).toMatchObject({ code: '400' })
    expect(Object.keys(result?.errors ?? {})).toEqual(names)
  })

  it('tells on every receipt what was sent', async () => {
    const { port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate(['otp'])
    const { result } = await socket.ask('messaging.send', order('0102'))
    await vi.waitFor(() => expect(socket.events()).toHaveLength(4))
    expect(socket.events().at(-1)).toEqual({
      ...order('0102'),
      message_id: result?.message_id,
      direction: 'outbound',
      media: [],
      segments: 1,
      message_state: 'undelivered',
      reason: 'Unreachable destination handset',
    })
  })

  it('takes acknowledgements, and texts that are no frames, without falling over', async () => {
    const { port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate()
    socket.socket.send(JSON.stringify({ jsonrpc: '2.0', id: 'event', result: {} }))
    socket.socket.send('{')
    socket.socket.send('null')
    expect(await socket.ask('constructor', {})).toMatchObject({ error: { code: -32601 } })
    expect(socket.frames.map(({ error }) => error?.code)).toEqual([undefined, -32700, -32700, -32601])
  })
})

describe('receipts', () => {
  it('go to another connection that listens when the sender has gone', async () => {
    const { port } = await startSandbox()
    const [sender, other, deaf] = await Promise.all([openSocket(port), openSocket(port), openSocket(port)])
    await Promise.all([
      sender.authenticate(['otp']),
      other.authenticate(['otp']),
      deaf.authenticate(['news']),
    ])
    sender.tell('messaging.send', order('0107'))
    await sender.closed
    await vi.waitFor(() => expect(other.events().at(-1)?.message_state).toBe('delivered'))
    expect(deaf.events()).toEqual([])
  })

  it('go to the sender alone when it listens, and stop when it no longer does', async () => {
    const { sandbox, port } = await startSandbox()
    const other = await openSocket(port)
    const sender = await openSocket(port)
    await Promise.all([sender.authenticate(), other.authenticate(['otp'])])
    await sender.ask('signalwire.receive', { contexts: ['otp'] })
    await sender.ask('messaging.send', order('0100'))
    await vi.waitFor(() => expect(sender.events()).toHaveLength(4))
    expect(other.events()).toEqual([])

    await sender.ask('signalwire.unreceive', { contexts: ['otp'] })
    await sender.ask('messaging.send', order('0100', 'elsewhere'))
    await vi.waitFor(() => expect(sandbox.messages()[0]?.state).toBe('delivered'))
    expect(sender.events()).toHaveLength(4)
  })
})

describe('keeping the connection', () => {
  it('pings its clients and answers their pings', async () => {
    const { port } = await startSandbox({ pingMs: 5 })
    const socket = await openSocket(port)
    expect((await socket.ask('signalwire.ping', { timestamp: 7 })).result).toEqual({ timestamp: 7 })
    const pings = () => socket.frames.filter(({ method }) => method === 'signalwire.ping')
    await vi.waitFor(() => expect(pings().length).toBeGreaterThan(1))
  })

  it('closes after a client says goodbye', async () => {
    const { port } = await startSandbox({ latencyMs: 1_000 })
    const socket = await openSocket(port)
    expect((await socket.ask('signalwire.disconnect', {})).result).toEqual({})
    await socket.closed
  })
})
