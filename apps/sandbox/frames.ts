/**
 * The JSON-RPC 2.0 frames of SignalWire's Realtime websocket: read into our shapes, written from them. Nothing here
 * knows who is connected.
 */
import { randomUUID } from 'node:crypto'
import type { Draft, Message } from './inbox.ts'
import type { Step } from './scenarios.ts'
import { segmentsOf } from './segments.ts'

export type FrameId = string | number
export type Params = Readonly<Record<string, unknown>>
/** A request of the client, or (`method` undefined) its reply to one of ours. */
export type Frame = { id: FrameId; method: string | undefined; params: Params }

/** undefined when the text is no frame. */
export function parseFrame(text: string): Frame | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const { id, method, params } = asParams(value)
  if (typeof id !== 'string' && typeof id !== 'number') return undefined
  return { id, method: typeof method === 'string' ? method : undefined, params: asParams(params) }
}

export function asParams(value: unknown): Params {
  return typeof value === 'object' && value !== null ? (value as Params) : {}
}

export function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

/** E.164 as SignalWire words it: a plus and 5 to 17 digits. */
export const isNumber = (value: unknown): value is string =>
  typeof value === 'string' && /^\+\d{5,17}$/.test(value)

/** A number that messages come from: as above, or a short code. */
export const isSender = (value: unknown): value is string =>
  typeof value === 'string' && /^\+?\d{5,17}$/.test(value)

/** The longest text SignalWire takes, in characters. */
export const BODY_MAX = 1_600

/** The order in a `messaging.send`, or the names of the parameters that are wrong. */
export function parseSend(params: Params): Draft | { wrong: string[] } {
  const { to_number: to, from_number: from, media, context } = params
  const body = params.body ?? ''
  const wrong: string[] = []
  if (!isNumber(to)) wrong.push('to_number')
  if (!isSender(from)) wrong.push('from_number')
  if (typeof body !== 'string' || body.length > BODY_MAX) wrong.push('body')
  else if (body === '' && strings(media).length === 0) wrong.push('body')
  if (wrong.length > 0 || !isNumber(to) || !isSender(from) || typeof body !== 'string') return { wrong }
  return { to, from, body, channel: 'sms', context: contextOf(context), tags: strings(params.tags) }
}

/** A send that names no context gets the server's own. */
const contextOf = (context: unknown) => (typeof context === 'string' && context !== '' ? context : 'default')

export const resultFrame = (id: FrameId, result: object) => JSON.stringify({ jsonrpc: '2.0', id, result })

export const errorFrame = (id: FrameId | null, code: number, message: string) =>
  JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } })

export const requestFrame = (method: string, params: object) =>
  JSON.stringify({ jsonrpc: '2.0', id: randomUUID(), method, params })

/** @param project the project the message was sent under. */
export function stateFrame(message: Message, step: Step, project: string): string {
  return eventFrame('messaging.state', message, project, {
    direction: 'outbound',
    message_state: step.state,
    ...(step.failure ? { reason: step.failure.reason } : {}),
  })
}

/** @param project the project of whoever hears it. */
export function receiveFrame(message: Message, project: string): string {
  return eventFrame('messaging.receive', message, project, {
    direction: 'inbound',
    message_state: 'received',
  })
}

function eventFrame(event_type: string, message: Message, project: string, news: object): string {
  return requestFrame('signalwire.event', {
    event_type,
    context: message.context,
    timestamp: Date.now() / 1_000,
    space_id: 'sandbox',
    project_id: project,
    params: {
      message_id: message.id,
      context: message.context,
      tags: message.tags,
      from_number: message.from,
      to_number: message.to,
      body: message.body,
      media: [],
      segments: segmentsOf(message.body),
      ...news,
    },
  })
}
