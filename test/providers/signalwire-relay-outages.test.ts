/** What happens when the relay is not there, says no, or goes away: nobody waits, and nothing goes out later. */
import { describe, expect, test } from 'vitest'
import { obliging, REFUSED_CREDENTIALS, type Script } from '#test/fixtures/scripted-relay.ts'
import { eventually, openProvider, openRelay } from './relay-provider.ts'

const NOT_CONNECTED = { kind: 'busy', reason: 'not_connected' }
const bodies = (relay: { sends(): { params: Record<string, unknown> }[] }) =>
  relay.sends().map(({ params }) => params.body)

test('a code tried three times during an outage goes out exactly once, after it', async () => {
  const relay = await openRelay()
  const { provider, send, reaches } = openProvider(relay)
  await reaches('ready')
  await relay.down()
  await eventually(() => provider.status() !== 'ready', 'the outage is noticed')
  for (let tries = 0; tries < 3; tries++) expect(await send()).toEqual(NOT_CONNECTED)
  await relay.up()
  await reaches('ready')
  expect(await send({ body: 'after the outage' })).toMatchObject({ kind: 'accepted' })
  expect(bodies(relay)).toEqual(['after the outage'])
})

test('sends handed over in the moment the socket is cut never go out on the next connection', async () => {
  const relay = await openRelay()
  const { send, reaches } = openProvider(relay)
  for (let cut = 1; cut <= 5; cut++) {
    await reaches('ready')
    relay.cut()
    const ghosts = await Promise.all([
      send({ body: 'ghost' }),
      send({ body: 'ghost' }),
      send({ body: 'ghost' }),
    ])
    for (const { kind } of ghosts) expect(['unknown', 'busy']).toContain(kind)
    await eventually(() => relay.connects().length === cut + 1, 'the next connection')
  }
  await reaches('ready')
  expect(await send({ body: 'after the cuts' })).toMatchObject({ kind: 'accepted' })
  expect(bodies(relay)).toEqual(['after the cuts'])
})

describe("after SignalWire's signalwire.disconnect", () => {
  async function inTheWindow(sendTimeoutMs: number) {
    const relay = await openRelay()
    const opened = openProvider(relay, { sendTimeoutMs })
    await opened.reaches('ready')
    const id = relay.push('signalwire.disconnect', { restart: true })
    await eventually(() => relay.frames.some((frame) => frame.includes(`"${id}"`)), 'the client has agreed')
    return { relay, ...opened }
  }

  test('a message queued in the window is unknown at the close, and never goes out', async () => {
    const { relay, send, reaches, receipts } = await inTheWindow(8_000)
    const ghost = send({ body: 'ghost' })
    // Two events told and heard after the order was posted: by then the SDK has the message in its queue.
    for (const turns of [1, 2]) {
      relay.tell({ message_id: 'm', message_state: 'sent' })
      await eventually(() => receipts.length === turns, 'the thread has turned once more')
    }
    relay.cut()
    expect(await ghost).toEqual({ kind: 'unknown', reason: 'connection_lost' })
    await reaches('ready')
    expect(await send({ body: 'after the restart' })).toMatchObject({ kind: 'accepted' })
    expect(bodies(relay)).toEqual(['after the restart'])
  })

  test('a relay that never closes is left at the deadline, and what it was owed never goes out', async () => {
    const { relay, send, reaches } = await inTheWindow(300)
    expect(await send({ body: 'ghost' })).toEqual({ kind: 'unknown', reason: 'timeout' })
    await reaches('ready')
    expect(await send({ body: 'after the restart' })).toMatchObject({ kind: 'accepted' })
    await eventually(() => relay.openSockets() === 1, 'the old socket is closed')
    expect(bodies(relay)).toEqual(['after the restart'])
  })
})

describe('a relay is unreachable, and is reached as soon as it is well, when', () => {
  const faults: [string, Partial<Script>][] = [
    ['it refuses the upgrade with HTTP 503', { upgrade: () => false }],
    ['it never answers the connect', { onConnect: () => {} }],
    [
      'it answers the connect with a fault',
      { onConnect: ({ fail }) => fail({ code: -32603, message: 'x' }) },
    ],
    ['it cuts the socket at the connect', { onConnect: ({ cut }) => cut() }],
    ['it never answers the subscription', { onReceive: () => {} }],
    ['it refuses the subscription', { onReceive: ({ reply }) => reply({ code: '402', message: 'x' }) }],
    ['it cuts the socket between connect and subscription', { onReceive: ({ cut }) => cut() }],
  ]
  test.each(faults)('%s', async (_, fault) => {
    const relay = await openRelay(fault)
    const { send, reaches, statuses } = openProvider(relay, { connectTimeoutMs: 1_500 })
    expect(await send()).toEqual(NOT_CONNECTED)
    await reaches('unreachable')
    expect(await send()).toEqual(NOT_CONNECTED)
    relay.script = obliging()
    await reaches('ready')
    expect(await send()).toMatchObject({ kind: 'accepted' })
    expect(relay.sends()).toHaveLength(1)
    expect(statuses).toEqual(['unreachable', 'ready'])
    await eventually(() => relay.openSockets() === 1, 'no half-open client is left')
  })

  test('its port is closed at the start', async () => {
    const relay = await openRelay()
    await relay.down()
    const { send, reaches } = openProvider(relay)
    await reaches('unreachable')
    expect(await send()).toEqual(NOT_CONNECTED)
    await relay.up()
    await reaches('ready')
    expect(await send()).toMatchObject({ kind: 'accepted' })
    expect(relay.sends()).toHaveLength(1)
  })
})

test('a socket cut again between reconnect and subscription is survived', async () => {
  const relay = await openRelay()
  const { send, reaches } = openProvider(relay)
  await reaches('ready')
  relay.script.onReceive = ({ cut }) => cut()
  relay.cut()
  await eventually(() => relay.connects().length >= 3, 'two connections cut in the subscription')
  relay.script.onReceive = obliging().onReceive
  await reaches('ready')
  expect(await send()).toMatchObject({ kind: 'accepted' })
})

test('refused credentials are shown, cost a send nothing, and are tried again by themselves', async () => {
  const relay = await openRelay({ onConnect: ({ fail }) => fail(REFUSED_CREDENTIALS) })
  const { send, reaches } = openProvider(relay)
  await reaches('unauthorized')
  expect(await send()).toEqual({ kind: 'busy', reason: 'credentials_refused' })
  await eventually(() => relay.connects().length >= 2, 'another try')
  relay.script = obliging()
  await reaches('ready')
  await eventually(() => relay.openSockets() === 1, 'the refused sockets are closed')
  expect(relay.sends()).toHaveLength(0)
})

test('a relay that takes every connection and cuts it at once is dialled ever more slowly', async () => {
  const relay = await openRelay()
  const dialledAtMs: number[] = []
  relay.script.onReceive = (request) => {
    dialledAtMs.push(performance.now())
    obliging().onReceive(request)
    setImmediate(request.cut)
  }
  openProvider(relay, { backoff: { minMs: 400, maxMs: 10_000 } })
  await eventually(() => dialledAtMs.length === 4, 'four connections')
  const gaps = dialledAtMs.slice(1).map((at, n) => at - (dialledAtMs[n] ?? 0))
  // Half of 400, 800 and 1,600 ms are the least waits; a thread takes about 200 ms more to start.
  expect(gaps.map((gap, n) => gap >= 200 * 2 ** n)).toEqual([true, true, true])
})
