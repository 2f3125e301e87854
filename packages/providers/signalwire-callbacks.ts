/**
 * Reads what SignalWire's REST posts to us: whether SignalWire signed it, and which news of a message, or which message
 * to one of our numbers, it brings. Forms come from the Compatibility API, JSON from the newer ones; each signs in a way
 * of its own.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Inbound } from '#verification/keyword.ts'
import type { Receipt } from '#verification/outcome.ts'
import { newsOfCall } from './signalwire-calls.ts'
import { fieldsOf, inboundOf, receiptOf } from './signalwire-replies.ts'

/** As it came: `target` is path and query, `body` the bytes before anybody parsed them. */
export type Callback = { target: string; contentType: string; signature: string; body: string }

/** `nothing`: genuine, but no news of a message of ours. */
export type CallbackRead = { kind: 'receipt'; receipt: Receipt } | { kind: 'nothing' } | { kind: 'forged' }

export type InboundRead = { kind: 'inbound'; message: Inbound } | { kind: 'nothing' } | { kind: 'forged' }

/** What callers put on the callback's address to know the send again. */
export const REFERENCE_PARAMETER = 'reference'

/**
 * `publicUrl`: scheme, host and path under which SignalWire reaches us, which is what it signed, whatever proxies made of
 * it. `signingKeys`: what it may have signed with; several while they rotate.
 */
export type CallbackConfig = { publicUrl: string; signingKeys: readonly string[] }

export function createCallbackReader(options: CallbackConfig) {
  const isSigned = createSignatureCheck(options)
  return (callback: Callback): CallbackRead => {
    if (!isSigned(callback)) return { kind: 'forged' }
    const reference = new URLSearchParams(callback.target.split('?')[1]).get(REFERENCE_PARAMETER)
    const news = isForm(callback.contentType) ? newsOfForm(callback.body) : newsOfJson(callback.body)
    const receipt = receiptOf({ ...news, tags: [reference] })
    return receipt ? { kind: 'receipt', receipt } : { kind: 'nothing' }
  }
}

/** Reads what SignalWire posts where a number of ours says that its messages go; always a form. */
export function createInboundReader(options: CallbackConfig) {
  const isSigned = createSignatureCheck(options)
  return (callback: Callback): InboundRead => {
    if (!isSigned(callback)) return { kind: 'forged' }
    if (!isForm(callback.contentType)) return { kind: 'nothing' }
    const {
      MessageSid: id,
      From: from,
      To: to,
      Body: body,
    } = Object.fromEntries(new URLSearchParams(callback.body))
    const message = inboundOf({ id, from, to, body })
    return message ? { kind: 'inbound', message } : { kind: 'nothing' }
  }
}

function createSignatureCheck({ publicUrl, signingKeys }: CallbackConfig) {
  const origins = spellingsOf(publicUrl)
  const ways = signingKeys.flatMap((key) => origins.map((origin) => ({ key, origin })))

  /** In constant time, and through all keys and spellings whichever is right. */
  function isSigned({ target, contentType, signature, body }: Callback): boolean {
    const text = signedText(contentType, body)
    if (text === undefined) return false
    const encoding = isForm(contentType) ? 'base64' : 'hex'
    const presented = Buffer.from(signature)
    let signed = false
    for (const { key, origin } of ways) {
      const mac = createHmac('sha1', key).update(`${origin}${target}`).update(text)
      const expected = Buffer.from(mac.digest(encoding))
      if (expected.length === presented.length && timingSafeEqual(expected, presented)) signed = true
    }
    return signed
  }

  return isSigned
}

/** SignalWire posts a few dozen; anybody can post what takes long to sort. */
const FIELDS_MAX = 200

/** What is signed behind the address; nothing where it cannot be SignalWire's. */
function signedText(contentType: string, body: string): string | undefined {
  if (!isForm(contentType)) return body
  if (body.split('&').length > FIELDS_MAX) return undefined
  const pairs = [...new URLSearchParams(body)].sort(([a], [b]) => (a < b ? -1 : Number(a > b)))
  return pairs.flat().join('')
}

/** With and without the scheme's own port: SignalWire signs either. */
function spellingsOf(publicUrl: string): string[] {
  const { protocol, port, host, pathname } = new URL(publicUrl)
  const path = pathname.replace(/\/$/, '')
  const own = protocol === 'https:' ? '443' : '80'
  return [`${protocol}//${host}${path}`, ...(port === '' ? [`${protocol}//${host}:${own}${path}`] : [])]
}

const isForm = (contentType: string) => /^application\/x-www-form-urlencoded\b/i.test(contentType)

/** Callbacks say `sending` where the rest of SignalWire says `initiated`. */
function newsOfForm(body: string) {
  const form = new URLSearchParams(body)
  const state = form.get('MessageStatus')
  return {
    id: form.get('MessageSid'),
    state: state === 'sending' ? 'initiated' : state,
    code: form.get('ErrorCode'),
  }
}

function newsOfJson(body: string) {
  const { id, status, error_message, error_code, params } = fieldsOf(parsed(body))
  const call = fieldsOf(params)
  if (call.call_id !== undefined) return { id: call.call_id, ...newsOfCall(call) }
  return { id, state: status, reason: error_message, code: error_code }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
