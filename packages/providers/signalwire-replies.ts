/**
 * Turns what SignalWire's Realtime API says about a message (a reply, a rejection that is seldom an Error, a state)
 * into our Outcome and Receipt, and a message it brings into our Inbound. Total: any value gets an answer, and no text
 * of SignalWire's gets through unwashed.
 */
import type { Inbound } from '#verification/keyword.ts'
import type { Outcome, OutcomeReason, Receipt, ReceiptState } from '#verification/outcome.ts'
import { refusalInWords, refusalOf } from './signalwire-codes.ts'

const busy = (reason: OutcomeReason): Outcome => ({ kind: 'busy', reason })
const unknown = (reason: OutcomeReason): Outcome => ({ kind: 'unknown', reason })

/** A reply counts as accepted only with the id that receipts will name. */
export function outcomeOfReply(reply: unknown): Outcome {
  const { code, messageId } = fieldsOf(reply)
  if (!/^2\d\d$/.test(String(code))) return unknown('provider_fault')
  if (typeof messageId !== 'string' || messageId === '') return unknown('no_message_id')
  return { kind: 'accepted', messageId }
}

/**
 * A code in a string is SignalWire's answer to the message: it was not sent. A code in a number is JSON-RPC's, which
 * says nothing about the message, except -32002 (not authenticated). A symbol is the SDK's for a cut socket, and its
 * TypeError follows ten seconds without an answer, after which it cuts the socket itself.
 */
export function outcomeOfRejection(rejection: unknown): Outcome {
  const { code } = fieldsOf(rejection)
  if (code === -32002) return busy('credentials_refused')
  if (typeof code === 'number') return unknown('provider_fault')
  if (typeof code === 'string') return outcomeOfRefusal(code)
  return unknown('connection_lost')
}

function outcomeOfRefusal(code: string): Outcome {
  const known = refusalOf(code)
  if (known) return known
  if (/^5\d\d$/.test(code)) return busy('provider_fault')
  if (/^(4\d\d|[1-9]\d{4})$/.test(code)) return { kind: 'rejected', reason: 'refused_by_provider' }
  return unknown('provider_fault')
}

const STATES: Record<ReceiptState, true> = {
  queued: true,
  initiated: true,
  sent: true,
  delivered: true,
  undelivered: true,
  failed: true,
}

/** The receipt in a message update of the SDK, or in a callback; undefined when it is none of ours to tell. */
export function receiptOf(update: unknown): Receipt | undefined {
  const { id, state, tags, reason, code } = fieldsOf(update)
  if (typeof id !== 'string' || id === '' || !isReceiptState(state)) return undefined
  const reference: unknown = Array.isArray(tags) ? tags[0] : undefined
  const why = reasonOf(String(code ?? ''), typeof reason === 'string' ? reason : '')
  return {
    messageId: id,
    state,
    ...(typeof reference === 'string' && { reference }),
    ...(why && { reason: why }),
  }
}

/** Our word for the code, or for words that are a code's name; else what the carrier says, washed. */
function reasonOf(code: string, words: string): string {
  const known = refusalOf(code) ?? refusalInWords(words)
  return known?.reason ?? washReason(words || (code && `error ${code}`))
}

/** The longest text SignalWire sends; of an inbound one no more is taken on. */
const TEXT_LONGEST = 1_600

/** A picture without words is a message with an empty text. */
export function inboundOf(received: unknown): Inbound | undefined {
  const { id, from, to, body } = fieldsOf(received)
  if (typeof id !== 'string' || typeof from !== 'string' || typeof to !== 'string') return undefined
  return { messageId: id, from, to, text: typeof body === 'string' ? body.slice(0, TEXT_LONGEST) : '' }
}

function isReceiptState(state: unknown): state is ReceiptState {
  return typeof state === 'string' && Object.hasOwn(STATES, state)
}

const REASON_LENGTH_MAX = 80

/** A carrier's reason may quote the message: without control characters and without what could be a code or number. */
export function washReason(reason: string): string {
  const washed = reason
    .replace(/\p{C}/gu, ' ')
    .replace(/\p{Nd}(?:[\s\p{P}+]*\p{Nd}){5,}/gu, '')
    .replace(/\s+/g, ' ')
    .trim()
  return [...washed].slice(0, REASON_LENGTH_MAX).join('')
}

export function fieldsOf(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
