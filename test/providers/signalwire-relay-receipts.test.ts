/** What SignalWire tells about a message comes through as receipts: in its order, washed, and whatever shape it has. */
import { expect, test } from 'vitest'
import { eventually, openProvider, openRelay } from './relay-provider.ts'

test('every state of a message becomes a receipt with the message id and our reference', async () => {
  const relay = await openRelay()
  const { reaches, receipts } = openProvider(relay)
  await reaches('ready')
  const states = ['queued', 'initiated', 'sent', 'delivered', 'undelivered', 'failed']
  for (const message_state of states) relay.tell({ message_id: 'm-1', message_state, tags: ['s-abc-1'] })
  await eventually(() => receipts.length === states.length, 'all receipts')
  expect(receipts).toEqual(states.map((state) => ({ messageId: 'm-1', reference: 's-abc-1', state })))
})

test('receipts before the answer, out of order and twice are passed on as they come', async () => {
  const relay = await openRelay({
    onSend({ params, reply }) {
      const tags = [String(Array.isArray(params.tags) ? params.tags[0] : '')]
      relay.tell({ message_id: 'm-1', message_state: 'delivered', tags })
      relay.tell({ message_id: 'm-1', message_state: 'queued', tags })
      relay.tell({ message_id: 'm-1', message_state: 'queued', tags })
      reply({ code: '200', message_id: 'm-1' })
    },
  })
  const { send, reaches, receipts } = openProvider(relay)
  await reaches('ready')
  const outcome = send({ reference: 's-early' })
  await eventually(() => receipts.length === 3, 'three receipts')
  expect(receipts.map(({ state, reference }) => [state, reference])).toEqual([
    ['delivered', 's-early'],
    ['queued', 's-early'],
    ['queued', 's-early'],
  ])
  expect(await outcome).toEqual({ kind: 'accepted', messageId: 'm-1' })
})

test("a carrier's reason comes without code and number, and short", async () => {
  const relay = await openRelay()
  const { reaches, receipts } = openProvider(relay)
  await reaches('ready')
  const reason = `Blocked: "your code is 735194"\u0007 to +1 (202) 555-0123 ${'x'.repeat(200)}`
  relay.tell({ message_id: 'm-1', message_state: 'undelivered', reason })
  await eventually(() => receipts.length === 1, 'the receipt')
  expect(receipts[0]?.reason).toMatch(/^Blocked: "your code is " to \+?\(?.*x+$/)
  expect(receipts[0]?.reason).not.toMatch(/\d/)
  expect(receipts[0]?.reason).toHaveLength(80)
})

test('inbound messages, other contexts and events of any shape are no receipts, and receipts still come after them', async () => {
  const relay = await openRelay()
  const { send, reaches, receipts } = openProvider(relay)
  await reaches('ready')
  const inbound = { message_id: 'in', message_state: 'received', context: 'auth', body: 'STOP' }
  const event = (event_type: string, params: unknown) =>
    relay.push('signalwire.event', { event_type, context: 'auth', params })
  event('messaging.receive', inbound)
  event('messaging.state', { ...inbound, message_id: undefined })
  event('messaging.state', { context: 'auth', message_id: 7, message_state: {}, tags: 'no', reason: [] })
  event('messaging.state', { context: 'another', message_id: 'm', message_state: 'sent' })
  event('messaging.state', {})
  event('unheard.of', {})
  relay.push('signalwire.unheard', {})
  relay.tell({ message_id: 'm-1', message_state: 'delivered', tags: [] })
  await eventually(() => receipts.length > 0, 'the receipt')
  expect(receipts).toEqual([{ messageId: 'm-1', state: 'delivered' }])
  expect(await send()).toMatchObject({ kind: 'accepted' })
})

test('after a lost connection receipts come over the next one', async () => {
  const relay = await openRelay()
  const { provider, reaches, receipts } = openProvider(relay)
  await reaches('ready')
  relay.cut()
  await eventually(() => provider.status() !== 'ready', 'the cut is noticed')
  await reaches('ready')
  relay.tell({ message_id: 'm-1', message_state: 'delivered' })
  await eventually(() => receipts.length === 1, 'the receipt, once')
})

test('pings are answered', async () => {
  const relay = await openRelay()
  const { reaches } = openProvider(relay)
  await reaches('ready')
  const id = relay.push('signalwire.ping', { timestamp: 1234.5 })
  await eventually(
    () => relay.frames.some((frame) => frame.includes(`"${id}"`) && frame.includes('1234.5')),
    'the pong',
  )
})
