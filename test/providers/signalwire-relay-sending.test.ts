/** What a send comes to while the link is up: answered, refused, unanswered, cut, aborted, closed. */
import { setTimeout as after } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createSignalWireRelay } from '#providers/signalwire-relay.ts'
import type { Request } from '#test/fixtures/scripted-relay.ts'
import { MESSAGE } from './relay-message.ts'
import { eventually, openProvider, openRelay } from './relay-provider.ts'

const LOST = { kind: 'unknown', reason: 'connection_lost' }
const UNANSWERED = { kind: 'unknown', reason: 'timeout' }

test('a message goes out with its context and its reference, and is accepted with the id SignalWire gives it', async () => {
  const relay = await openRelay()
  const { send, reaches } = openProvider(relay)
  await reaches('ready')
  expect(await send()).toEqual({ kind: 'accepted', messageId: 'm-1' })
  expect(relay.sends().map(({ params }) => params)).toEqual([
    {
      from_number: MESSAGE.from,
      to_number: MESSAGE.to,
      body: MESSAGE.body,
      context: 'auth',
      tags: [MESSAGE.reference],
    },
  ])
})

test('many sends are in flight on one connection, and each gets its own answer', async () => {
  const relay = await openRelay({
    onSend: ({ params, reply }) => reply({ code: '200', message_id: `id of ${params.body}` }),
  })
  const { send, reaches } = openProvider(relay)
  await reaches('ready')
  const outcomes = await Promise.all(Array.from({ length: 200 }, (_, n) => send({ body: `message ${n}` })))
  expect(outcomes).toEqual(
    Array.from({ length: 200 }, (_, n) => ({ kind: 'accepted', messageId: `id of message ${n}` })),
  )
  expect(relay.connects()).toHaveLength(1)
})

describe('an answer of SignalWire is told in our words', () => {
  test.each([
    [
      '200 with an id',
      (r: Request) => r.reply({ code: '200', message_id: 'm' }),
      { kind: 'accepted', messageId: 'm' },
    ],
    [
      '200 without an id',
      (r: Request) => r.reply({ code: '200' }),
      { kind: 'unknown', reason: 'no_message_id' },
    ],
    [
      '200 with an empty id',
      (r: Request) => r.reply({ code: '200', message_id: '' }),
      { kind: 'unknown', reason: 'no_message_id' },
    ],
    ['nothing at all', (r: Request) => r.reply({}), { kind: 'unknown', reason: 'provider_fault' }],
    [
      '400',
      (r: Request) => r.reply({ code: '400', message: MESSAGE.body }),
      { kind: 'rejected', reason: 'refused_by_provider' },
    ],
    ['401', (r: Request) => r.reply({ code: '401' }), { kind: 'busy', reason: 'credentials_refused' }],
    ['402', (r: Request) => r.reply({ code: '402' }), { kind: 'rejected', reason: 'account_blocked' }],
    ['429', (r: Request) => r.reply({ code: '429' }), { kind: 'busy', reason: 'rate_limited' }],
    ['503', (r: Request) => r.reply({ code: '503' }), { kind: 'busy', reason: 'provider_fault' }],
    [
      'JSON-RPC -32603',
      (r: Request) => r.fail({ code: -32603, message: MESSAGE.body }),
      { kind: 'unknown', reason: 'provider_fault' },
    ],
    [
      'JSON-RPC -32002',
      (r: Request) => r.fail({ code: -32002, message: 'no' }),
      { kind: 'busy', reason: 'credentials_refused' },
    ],
    ['a cut socket', (r: Request) => r.cut(), LOST],
  ])('%s', async (_, onSend, outcome) => {
    const relay = await openRelay({ onSend })
    const { send, reaches } = openProvider(relay)
    await reaches('ready')
    expect(await send()).toEqual(outcome)
  })
})

test('a send that is never answered is unknown at its deadline, and a fresh client takes the place of the silent one', async () => {
  const relay = await openRelay({ onSend: () => {} })
  const { send, reaches } = openProvider(relay, { sendTimeoutMs: 300 })
  await reaches('ready')
  expect(await send()).toEqual(UNANSWERED)
  await eventually(() => relay.connects().length === 2 && relay.openSockets() === 1, 'one client, the second')
  await reaches('ready')
  relay.script.onSend = ({ reply }) => reply({ code: '200', message_id: 'second' })
  expect(await send()).toEqual({ kind: 'accepted', messageId: 'second' })
})

test('one unanswered send costs no other send its answer', async () => {
  const held: Request[] = []
  const relay = await openRelay({ onSend: (request) => held.push(request) })
  const { send, reaches } = openProvider(relay, { sendTimeoutMs: 1_000 })
  await reaches('ready')
  const unanswered = send()
  await after(500) // half a deadline between the two, so that the second outlives the first
  const others = [send(), send()]
  expect(await unanswered).toEqual(UNANSWERED)
  await eventually(() => held.length === 3, 'all three sends at the relay')
  for (const request of held.slice(1)) request.reply({ code: '200', message_id: 'late but good' })
  for (const other of others) expect(await other).toEqual({ kind: 'accepted', messageId: 'late but good' })
  await eventually(
    () => relay.connects().length === 2 && relay.openSockets() === 1,
    'the silent client is gone',
  )
})

test("a deadline at or beyond the SDK's own ten seconds is refused", () => {
  const options = { project: 'p', token: 't', onReceipt: () => {}, onInbound: () => {} }
  expect(() => createSignalWireRelay({ ...options, sendTimeoutMs: 10_000 })).toThrow(RangeError)
  expect(() => createSignalWireRelay({ ...options, sendTimeoutMs: Number.NaN })).toThrow(RangeError)
})

test('a socket cut with sends in flight leaves every one of them unknown and replays none', async () => {
  const relay = await openRelay({ onSend: () => {} })
  const { send, reaches } = openProvider(relay)
  await reaches('ready')
  const inFlight = [send(), send(), send()]
  await eventually(() => relay.sends().length === 3, 'all three at the relay')
  relay.cut()
  for (const outcome of inFlight) expect(await outcome).toEqual(LOST)
  await eventually(() => relay.connects().length === 2, 'a second connection')
  await reaches('ready')
  expect(relay.sends()).toHaveLength(3)
})

test('an order that was a second on its way, as in a process that was frozen, is given back unsent', async () => {
  const relay = await openRelay()
  const { send, reaches } = openProvider(relay)
  await reaches('ready')
  const now = process.hrtime.bigint
  const ago = vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => now() - 1_100_000_000n)
  onTestFinished(() => void ago.mockRestore())
  expect(await send()).toEqual({ kind: 'busy', reason: 'timeout' })
  ago.mockRestore()
  expect(await send()).toEqual({ kind: 'accepted', messageId: 'm-1' })
  expect(relay.sends()).toHaveLength(1)
})

test('an order whose second passed by the wall clock alone, as while a host is suspended, is given back unsent', async () => {
  const relay = await openRelay()
  const { send, reaches } = openProvider(relay)
  await reaches('ready')
  const now = Date.now
  const ago = vi.spyOn(Date, 'now').mockImplementation(() => now() - 1_100)
  onTestFinished(() => void ago.mockRestore())
  expect(await send()).toEqual({ kind: 'busy', reason: 'timeout' })
  ago.mockRestore()
  expect(await send()).toEqual({ kind: 'accepted', messageId: 'm-1' })
  expect(relay.sends()).toHaveLength(1)
})

describe('an abort', () => {
  test('before the send leaves the message unsent', async () => {
    const relay = await openRelay()
    const { send, reaches } = openProvider(relay)
    await reaches('ready')
    expect(await send({}, AbortSignal.abort())).toEqual({ kind: 'busy', reason: 'timeout' })
    expect(await send()).toEqual({ kind: 'accepted', messageId: 'm-1' })
    expect(relay.sends()).toHaveLength(1)
  })

  test('in flight ends the send as unknown at once, and a later answer changes nothing', async () => {
    const relay = await openRelay({ onSend: () => {} })
    const { send, reaches } = openProvider(relay)
    await reaches('ready')
    const abort = new AbortController()
    const outcome = send({}, abort.signal)
    await eventually(() => relay.sends().length === 1, 'the send at the relay')
    abort.abort()
    expect(await outcome).toEqual(UNANSWERED)
    relay.sends()[0]?.reply({ code: '200', message_id: 'late' })
    relay.script.onSend = ({ reply }) => reply({ code: '200', message_id: 'next' })
    expect(await send()).toEqual({ kind: 'accepted', messageId: 'next' })
    expect(relay.connects()).toHaveLength(1)
  })

  test('of a send that is never answered does not hide the silence of the link', async () => {
    const relay = await openRelay({ onSend: () => {} })
    const { send, reaches } = openProvider(relay, { sendTimeoutMs: 300 })
    await reaches('ready')
    expect(await send({}, AbortSignal.timeout(50))).toEqual(UNANSWERED)
    await eventually(() => relay.connects().length === 2 && relay.openSockets() === 1, 'a fresh client')
  })
})

test('close ends what is in flight as unknown, closes the socket, and can be called again', async () => {
  const relay = await openRelay({ onSend: () => {} })
  const { provider, send, reaches, statuses } = openProvider(relay)
  await reaches('ready')
  const outcome = send()
  await eventually(() => relay.sends().length === 1, 'the send at the relay')
  await Promise.all([provider.close(), provider.close()])
  expect(await outcome).toEqual(LOST)
  expect(await send()).toEqual({ kind: 'busy', reason: 'not_connected' })
  expect(statuses).toEqual(['ready', 'closed'])
  await eventually(() => relay.openSockets() === 0, 'the socket is closed')
  expect(relay.sends()).toHaveLength(1)
})

test('a call is none of its business', async () => {
  const relay = await openRelay()
  const { provider, reaches } = openProvider(relay)
  await reaches('ready')
  const { body: _, ...addressed } = MESSAGE
  const call = { ...addressed, channel: 'call', speech: { language: 'en-US', parts: [] } } as const
  const outcome = await provider.send(call, new AbortController().signal)
  expect(outcome).toEqual({ kind: 'busy', reason: 'misconfigured' })
  expect(relay.sends()).toEqual([])
})
