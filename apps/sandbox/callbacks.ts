/**
 * Callbacks: news of a REST message, or a message to a number, POSTed and signed as SignalWire does it. Only addresses
 * of this machine are called, because nothing may leave it.
 */
import { createHmac } from 'node:crypto'
import { request } from 'node:http'
import type { Timers } from './timers.ts'

/** A body and its signature base: JSON signs the raw body, a form its sorted keys and values. */
export type Notice =
  | { kind: 'json'; value: object }
  | { kind: 'form'; fields: Readonly<Record<string, string>> }

export type Callbacks = {
  /** @returns a poster to one URL, whose notices leave one after the other; it resolves with whether one was taken. */
  to(url: string): (notice: Notice) => Promise<boolean>
  /** Ends what is under way. Nothing is posted for orders taken before. */
  abort(): void
}

/** Documented: 2 s to connect, 5 s to read, 3 attempts. The wait between two is ours. */
const CONNECT_MS = 2_000
const READ_MS = 5_000
const ATTEMPTS_MAX = 3
const AGAIN_MS = 500

/** @param pace multiplies the wait between two attempts. */
export function createCallbacks({
  signingKey,
  timers,
  pace,
}: {
  signingKey: string
  timers: Timers
  pace: number
}): Callbacks {
  let aborting = new AbortController()

  async function deliver(url: string, notice: Notice, signal: AbortSignal): Promise<boolean> {
    const { type, body, signature } = signed(url, notice, signingKey)
    const headers = { 'content-type': type, 'x-signalwire-signature': signature }
    for (let attempt = 1; attempt <= ATTEMPTS_MAX && !signal.aborted; attempt += 1) {
      if (attempt > 1) await new Promise<void>((resolve) => timers.later(AGAIN_MS * pace, resolve))
      if (await post({ url, headers, body, signal })) return true
    }
    return false
  }

  return {
    to(url) {
      const { signal } = aborting
      let before = Promise.resolve(true)
      return (notice) => {
        before = before.then(() => deliver(url, notice, signal))
        return before
      }
    },
    abort() {
      aborting.abort()
      aborting = new AbortController()
    },
  }
}

/** Plain http to 127.0.0.0/8, ::1 or localhost. */
export function isLoopback(url: string): boolean {
  const parsed = URL.parse(url)
  if (parsed?.protocol !== 'http:') return false
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(parsed.hostname)
}

/** Hex HMAC-SHA1 of URL and raw body for JSON; base64 of URL and sorted key-value text for a form. */
function signed(url: string, notice: Notice, signingKey: string) {
  const mac = createHmac('sha1', signingKey).update(url)
  if (notice.kind === 'json') {
    const body = JSON.stringify(notice.value)
    return { type: 'application/json', body, signature: mac.update(body).digest('hex') }
  }
  const pairs = Object.entries(notice.fields).sort(([a], [b]) => (a < b ? -1 : 1))
  const body = new URLSearchParams(notice.fields).toString()
  const signature = mac.update(pairs.flat().join('')).digest('base64')
  return { type: 'application/x-www-form-urlencoded', body, signature }
}

type Post = { url: string; headers: Record<string, string>; body: string; signal: AbortSignal }

/** Whether a 2xx came back in time. Redirects are not followed. */
function post({ url, headers, body, signal }: Post): Promise<boolean> {
  return new Promise((resolve) => {
    const sending = request(url, { method: 'POST', headers, signal }, (response) => {
      response.resume()
      const { statusCode = 0 } = response
      resolve(statusCode >= 200 && statusCode < 300)
    })
    sending.setTimeout(CONNECT_MS, () => sending.destroy())
    sending.on('socket', (socket) => {
      const connected = () => void sending.setTimeout(READ_MS)
      if (socket.connecting) socket.once('connect', connected)
      else connected()
    })
    sending.on('error', () => resolve(false))
    sending.end(body)
  })
}
