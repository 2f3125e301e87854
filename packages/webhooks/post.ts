/**
 * Hands one event to its receiver: one POST to an address that was checked, one answer of which only the status and
 * Retry-After are read. Follows no redirect, uses no proxy, and always resolves within its deadline.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { checkHost, hostOf, pinned, type Resolve } from './addresses.ts'
import { signedHeaders } from './signature.ts'

/** - `taken`: any 2xx. - `gone`: 410, nothing more is wanted. - `refused`: any other answer. - `failed`: none came. */
export type Posted =
  | { kind: 'taken' | 'gone'; status: number }
  | { kind: 'refused'; status: number; retryAfterMs?: number }
  | { kind: 'failed'; reason: PostFault }

type PostFault =
  | 'address_not_found'
  | 'address_not_allowed'
  | 'connection_failed'
  | 'certificate_refused'
  | 'timeout'

export type Post = (
  webhook: { id: string; body: string; atMs: number },
  signal: AbortSignal,
) => Promise<Posted>

export type PostOptions = {
  url: URL
  secrets: readonly Buffer[]
  /** Receivers in a private network, or on this machine. */
  allowPrivate: boolean
  timeoutMs: number
  resolve: Resolve
}

/** Answers that only announce one (1xx); whoever sends more keeps this process from its other work. */
const ANNOUNCEMENTS_MAX = 20

export function createPost(options: PostOptions): Post {
  const { url, secrets } = options
  const host = hostOf(url)

  async function send(
    webhook: Parameters<Post>[0],
    addresses: Parameters<typeof pinned>[0],
    signal: AbortSignal,
  ) {
    const body = Buffer.from(webhook.body)
    const request = url.protocol === 'https:' ? requestHttps : requestHttp
    const { promise, resolve } = Promise.withResolvers<Posted>()
    const sent = request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        'user-agent': 'sms-two-factor-auth',
        ...signedHeaders(webhook, secrets),
      },
      // A connection of its own each time: to what was checked this time, and by no proxy of the environment.
      agent: false,
      lookup: pinned(addresses),
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
      signal,
    })
    const answered = (response: IncomingMessage) => {
      resolve(postedOf(response.statusCode ?? 0, response.headers['retry-after'], webhook.atMs))
      // Whatever else it says is not ours to read.
      response.socket.destroy()
    }
    sent.once('response', answered)
    // Of a 101 nothing but `close` would tell, and that it was one is worth a line in the log.
    sent.once('upgrade', answered)
    let announcements = 0
    sent.on('information', () => {
      announcements += 1
      if (announcements > ANNOUNCEMENTS_MAX) sent.destroy()
    })
    sent.on('error', (error) => resolve({ kind: 'failed', reason: faultOf(error, signal) }))
    sent.once('close', () => resolve({ kind: 'failed', reason: 'connection_failed' }))
    sent.end(body)
    return promise
  }

  async function exchange(webhook: Parameters<Post>[0], signal: AbortSignal): Promise<Posted> {
    const checked = await checkHost(host, options)
    if (checked.kind === 'blocked') return { kind: 'failed', reason: 'address_not_allowed' }
    if (checked.kind === 'not_found') return { kind: 'failed', reason: 'address_not_found' }
    if (signal.aborted) return { kind: 'failed', reason: 'timeout' }
    return send(webhook, checked.addresses, signal)
  }

  // One timer for all of it, which does not count on what a name server, a socket or a parser tells.
  return async (webhook, stop) => {
    const cutOff = new AbortController()
    const { promise: late, resolve } = Promise.withResolvers<Posted>()
    const giveUp = () => {
      cutOff.abort()
      resolve({ kind: 'failed', reason: 'timeout' })
    }
    const timer = setTimeout(giveUp, options.timeoutMs)
    stop.addEventListener('abort', giveUp, { once: true })
    if (stop.aborted) giveUp()
    try {
      return await Promise.race([late, exchange(webhook, cutOff.signal)])
    } finally {
      clearTimeout(timer)
      stop.removeEventListener('abort', giveUp)
    }
  }
}

function postedOf(status: number, retryAfter: string | undefined, atMs: number): Posted {
  if (status >= 200 && status < 300) return { kind: 'taken', status }
  if (status === 410) return { kind: 'gone', status }
  const retryAfterMs = retryAfterMsOf(retryAfter, atMs)
  return { kind: 'refused', status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

/** Seconds, or a date (RFC 9110 §10.2.3). */
function retryAfterMsOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000
  const date = text.endsWith(' GMT') ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}

const CERTIFICATE = /^(ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/

/** One of our own words; an error's text may quote what was sent. */
function faultOf(error: Error, signal: AbortSignal): PostFault {
  if (signal.aborted) return 'timeout'
  const code = 'code' in error ? String(error.code) : ''
  return CERTIFICATE.test(code) ? 'certificate_refused' : 'connection_failed'
}
