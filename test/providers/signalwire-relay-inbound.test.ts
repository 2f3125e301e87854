/** SMS that come to our numbers reach us through the real SDK: as they are, on our topic, whatever shape they have. */
import { expect, test } from 'vitest'
import type { ScriptedRelay } from '#test/fixtures/scripted-relay.ts'
import { eventually, openProvider, openRelay } from './relay-provider.ts'

type Fields = Record<string, unknown>

/** The frame of SignalWire for a message that came in. */
function receive(relay: ScriptedRelay, message: Fields, context = 'auth'): string {
  const params = {
    context,
    direction: 'inbound',
    message_state: 'received',
    tags: [],
    media: [],
    segments: 1,
  }
  return relay.push('signalwire.event', {
    event_type: 'messaging.receive',
    context,
    params: { ...params, ...message },
  })
}

const STOP = { message_id: 'in-1', from_number: '+12025550123', to_number: '+12025550100', body: 'STOP' }

test('a message is told with its id, both numbers and its text, and acknowledged', async () => {
  const relay = await openRelay()
  const { reaches, inbound, receipts } = openProvider(relay)
  await reaches('ready')
  const id = receive(relay, STOP)
  await eventually(() => inbound.length === 1, 'the message')
  expect(inbound).toEqual([{ messageId: 'in-1', from: '+12025550123', to: '+12025550100', text: 'STOP' }])
  await eventually(() => relay.frames.some((frame) => frame.includes(`"${id}"`)), 'the acknowledgement')
  expect(receipts).toEqual([])
})

test('a picture without words is a message with an empty text, and an endless text is cut', async () => {
  const relay = await openRelay()
  const { reaches, inbound } = openProvider(relay)
  await reaches('ready')
  receive(relay, { ...STOP, body: undefined, media: ['https://example.com/a.jpg'] })
  receive(relay, { ...STOP, body: 'x'.repeat(50_000) })
  await eventually(() => inbound.length === 2, 'both messages')
  expect(inbound.map(({ text }) => text)).toEqual(['', 'x'.repeat(1_600)])
})

test('messages of any shape or on another topic are passed over, and the next ones still come', async () => {
  const relay = await openRelay()
  const { reaches, inbound, send } = openProvider(relay)
  await reaches('ready')
  receive(relay, {})
  receive(relay, { ...STOP, from_number: undefined })
  receive(relay, { ...STOP, to_number: 7 })
  receive(relay, { ...STOP, message_id: null })
  receive(relay, STOP, 'another')
  receive(relay, { ...STOP, message_id: 'in-2', body: ['STOP'] })
  receive(relay, { ...STOP, message_id: 'in-3' })
  await eventually(() => inbound.some(({ messageId }) => messageId === 'in-3'), 'the last message')
  expect(inbound).toEqual([
    { messageId: 'in-2', from: '+12025550123', to: '+12025550100', text: '' },
    { messageId: 'in-3', from: '+12025550123', to: '+12025550100', text: 'STOP' },
  ])
  expect(await send()).toMatchObject({ kind: 'accepted' })
})

test('after a lost connection messages come over the next one', async () => {
  const relay = await openRelay()
  const { provider, reaches, inbound } = openProvider(relay)
  await reaches('ready')
  relay.cut()
  await eventually(() => provider.status() !== 'ready', 'the cut is noticed')
  await reaches('ready')
  receive(relay, STOP)
  await eventually(() => inbound.length === 1, 'the message, once')
})
