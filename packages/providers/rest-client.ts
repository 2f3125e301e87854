/**
 * One HTTPS request to a REST API at a time limit, and the one thing fetch cannot say of a request that failed: whether
 * a byte of it can have reached the other side. Follows no redirect and reads no more of an answer than it needs.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

type Ask = {
  method: 'GET' | 'POST'
  /** From the root of the host, with its query. */
  path: string
  body?: { type: string; text: string }
  timeoutMs: number
  signal: AbortSignal
}

/** `body` is the answer as JSON; undefined when it is none, was cut off, is too long or came too slowly. */
export type Answered = { kind: 'answered'; status: number; retryAfterMs?: number; body: unknown }
/** `written`: the request may have been read, and acted upon. */
type Unanswered = { kind: 'unanswered'; written: boolean; why: 'timeout' | 'connection_lost' }
export type Reply = Answered | Unanswered

export type RestClient = {
  ask(request: Ask): Promise<Reply>
  /** Ends what is in flight as unanswered. */
  close(): void
}

/** An answer to us is a few hundred bytes. */
const ANSWER_MAX_BYTES = 64 * 1_024
/** A connection left alone longer may be closed by the other side while the next request is on its way. */
const IDLE_MS = 3_000

export function createRestClient(options: { baseUrl: string; user: string; password: string }): RestClient {
  const base = new URL(options.baseUrl)
  const secure = base.protocol === 'https:'
  const kept = { keepAlive: true, timeout: IDLE_MS }
  const agent = secure ? new HttpsAgent(kept) : new HttpAgent(kept)
  const open = secure ? httpsRequest : httpRequest
  const authorization = `Basic ${Buffer.from(`${options.user}:${options.password}`).toString('base64')}`
  const closing = new AbortController()

  function ask({ method, path, body, timeoutMs, signal }: Ask): Promise<Reply> {
    const { promise, resolve } = Promise.withResolvers<Reply>()
    const headers = {
      authorization,
      accept: 'application/json',
      ...(body && { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text) }),
    }
    const sending = open(new URL(path, base), { method, agent, headers })
    let written = false
    let answer: IncomingMessage | undefined

    /** No more will come. An answer whose body broke off is still an answer, by its status. */
    function breakOff(why: Unanswered['why']): void {
      sending.destroy()
      resolve(answer ? answeredBy(answer, undefined) : { kind: 'unanswered', written, why })
    }
    const late = () => breakOff('timeout')
    const lost = () => breakOff('connection_lost')
    const deadline = setTimeout(late, timeoutMs)
    signal.addEventListener('abort', late)
    closing.signal.addEventListener('abort', lost)

    sending.once('socket', (socket) => {
      if (sending.reusedSocket) written = true
      // Node holds the request back until the connection, TLS included, stands.
      else socket.once(secure ? 'secureConnect' : 'connect', () => (written = true))
    })
    sending.on('error', lost)
    sending.once('response', (response) => {
      answer = response
      response.once('error', lost)
      readText(response, {
        whole: (text) => resolve(answeredBy(response, text)),
        tooLong: lost,
      })
    })
    sending.end(body?.text)
    if (signal.aborted || closing.signal.aborted) late()
    return promise.finally(() => {
      clearTimeout(deadline)
      signal.removeEventListener('abort', late)
      closing.signal.removeEventListener('abort', lost)
    })
  }

  return {
    ask,
    close() {
      closing.abort()
      agent.destroy()
    },
  }
}

function readText(
  response: IncomingMessage,
  { whole, tooLong }: { whole: (text: string) => void; tooLong: () => void },
): void {
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > ANSWER_MAX_BYTES) tooLong()
  })
  response.once('end', () => whole(Buffer.concat(chunks).toString('utf8')))
}

function answeredBy({ statusCode = 0, headers }: IncomingMessage, text: string | undefined): Answered {
  const retryAfterMs = waitIn(headers['retry-after'])
  const body = text === undefined ? undefined : parsed(text)
  return {
    kind: 'answered',
    status: statusCode,
    body,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Retry-After in seconds; as a date it would depend on two clocks. */
function waitIn(header: string | undefined): number | undefined {
  return /^\d{1,6}$/.test(header ?? '') ? Number(header) * 1_000 : undefined
}
