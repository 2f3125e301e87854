/** The SDK keeps something of every send for ever, so its client is replaced while the sends go on. */
import { describe, expect, test } from 'vitest'
import { REFUSED_CREDENTIALS, type Request } from '#test/fixtures/scripted-relay.ts'
import { eventually, openProvider, openRelay } from './relay-provider.ts'

test('a client is replaced after its number of sends, with no gap and no lost send', async () => {
  const relay = await openRelay()
  const { send, reaches, statuses } = openProvider(relay, { sendsPerClient: 5 })
  await reaches('ready')
  for (let client = 1; client <= 4; client++) {
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => send()))
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(5).fill('accepted'))
    await eventually(() => relay.connects().length === client + 1, 'the next client')
    await eventually(() => relay.openSockets() === 1, 'the worn client is gone')
  }
  expect(relay.sends().map(({ connection }) => connection)).toEqual(
    [1, 2, 3, 4].flatMap((connection) => Array(5).fill(connection)),
  )
  expect(statuses).toEqual(['ready'])
})

test('two thousand sends over many clients are each accepted once, and the clients stay few', async () => {
  const relay = await openRelay()
  const { send, reaches, statuses } = openProvider(relay, { sendsPerClient: 100 })
  await reaches('ready')
  const ids = new Set<string>()
  const sender = async () => {
    for (let n = 0; n < 100; n++) {
      const outcome = await send()
      if (outcome.kind === 'accepted') ids.add(outcome.messageId)
    }
  }
  await Promise.all(Array.from({ length: 20 }, sender))
  expect(ids.size).toBe(2_000)
  expect(relay.sends()).toHaveLength(2_000)
  await eventually(
    () => relay.connects().length > 1 && relay.openSockets() === 1,
    'one client, not the first',
  )
  expect(relay.connects().length).toBeLessThanOrEqual(21)
  expect(statuses).toEqual(['ready'])
})

describe('a worn client, until its last answer,', () => {
  test('stays up and still tells receipts', async () => {
    const held: Request[] = []
    const relay = await openRelay({ onSend: (request) => held.push(request) })
    const { send, reaches, receipts } = openProvider(relay, { sendsPerClient: 1 })
    await reaches('ready')
    const outcome = send()
    await eventually(() => relay.requests.filter(isReceive).length === 2, 'the replacement is up')
    expect(relay.openSockets()).toBe(2)
    relay.tell({ message_id: 'm', message_state: 'sent' }, 1)
    await eventually(() => receipts.length === 1, 'the receipt')
    held[0]?.reply({ code: '200', message_id: 'm' })
    expect(await outcome).toEqual({ kind: 'accepted', messageId: 'm' })
    await eventually(() => relay.openSockets() === 1, 'the worn client is gone')
  })

  test('waits no longer than the deadline, and the sends of its replacement are not touched by that', async () => {
    const relay = await openRelay({
      onSend: ({ connection, reply }) => connection > 1 && reply({ code: '200', message_id: 'm' }),
    })
    const { send, reaches, statuses } = openProvider(relay, { sendsPerClient: 1, sendTimeoutMs: 1_000 })
    await reaches('ready')
    const unanswered = send()
    await eventually(() => relay.requests.filter(isReceive).length === 2, 'the replacement is up')
    expect(await unanswered).toEqual({ kind: 'unknown', reason: 'timeout' })
    expect(await send()).toEqual({ kind: 'accepted', messageId: 'm' })
    expect(statuses).toEqual(['ready'])
  })
})

test('a client whose replacement is refused goes on sending', async () => {
  const relay = await openRelay()
  const { send, reaches, statuses } = openProvider(relay, { sendsPerClient: 1 })
  await reaches('ready')
  relay.script.onConnect = ({ fail }) => fail(REFUSED_CREDENTIALS)
  expect(await send()).toMatchObject({ kind: 'accepted' })
  await eventually(() => relay.connects().length >= 2, 'the refused replacement')
  expect(await send()).toMatchObject({ kind: 'accepted' })
  expect(statuses).toEqual(['ready'])
  relay.cut()
  await reaches('unauthorized')
})

const isReceive = ({ method }: Request) => method === 'signalwire.receive'
