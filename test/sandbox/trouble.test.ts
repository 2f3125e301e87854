import { describe, expect, it, vi } from 'vitest'
import { connectSdk, openSocket, order, phone, startSandbox } from './clients.ts'

describe('trouble on request', () => {
  it('turns upgrades away with 503 until it is over', async () => {
    const { sandbox, port } = await startSandbox()
    sandbox.setTrouble('unavailable')
    await expect(openSocket(port)).rejects.toThrow('503')
    sandbox.setTrouble(undefined)
    await expect(openSocket(port)).resolves.toBeDefined()
  })

  it('leaves connect unanswered', async () => {
    const { sandbox, port } = await startSandbox()
    sandbox.setTrouble('connect_unanswered')
    const socket = await openSocket(port)
    const id = socket.tell('signalwire.connect', { authentication: { project: 'p', token: 't' } })
    await socket.ask('signalwire.ping', {})
    expect(socket.replyTo(id)).toBeUndefined()
    expect(sandbox.counts().connects).toBe(1)
  })

  it('answers connect with a fault', async () => {
    const { sandbox, port } = await startSandbox()
    sandbox.setTrouble('connect_fault')
    const socket = await openSocket(port)
    expect(await socket.ask('signalwire.connect', {})).toMatchObject({ error: { code: -32603 } })
  })

  it('kills the connection when it is asked for receipts', async () => {
    const { sandbox, port } = await startSandbox()
    sandbox.setTrouble('cut_on_receive')
    const socket = await openSocket(port)
    await socket.authenticate()
    socket.tell('signalwire.receive', { contexts: ['otp'] })
    await socket.closed
    expect(sandbox.counts()).toEqual({ connects: 1, receives: 1, sends: 0 })
  })

  it('drops every connection, after which the real SDK comes back by itself', async () => {
    const { sandbox, port } = await startSandbox()
    const { send, updates } = await connectSdk(port)
    sandbox.dropConnections()
    await vi.waitFor(() => expect(sandbox.counts().receives).toBe(2), { timeout: 10_000 })
    await send(phone('0100'))
    await vi.waitFor(() => expect(updates.at(-1)?.state).toBe('delivered'))
  })

  it('says goodbye to all clients and closes their connections', async () => {
    const { sandbox, port } = await startSandbox()
    const sockets = await Promise.all([openSocket(port), openSocket(port)])
    await vi.waitFor(() => expect(sandbox.connectionCount()).toBe(2))
    sandbox.restart()
    await Promise.all(sockets.map(({ closed }) => closed))
    for (const { frames } of sockets) expect(frames).toMatchObject([{ method: 'signalwire.disconnect' }])
  })

  it('goes away and comes back on the same port with what had arrived', async () => {
    const { sandbox, port } = await startSandbox()
    const socket = await openSocket(port)
    await socket.authenticate()
    await socket.ask('messaging.send', order('0100'))
    await sandbox.close()
    await socket.closed
    await expect(openSocket(port)).rejects.toThrow('ECONNREFUSED')
    expect(await sandbox.listen(port)).toBe(port)
    expect(sandbox.messages()).toHaveLength(1)
  })
})
