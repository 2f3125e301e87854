/**
 * The HTTP server under the app: how much a connection may ask for, how long it may take, how many there may be, and
 * what is answered to that which never becomes a request. Each number is set on purpose; none is Node's default by
 * accident.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener, RequestError } from '@hono/node-server'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import { headersOf } from './headers.ts'

export type ServerLimits = {
  /** Request line and headers together, in bytes. */
  headersMaxBytes: number
  headersMax: number
  /** From the first moment of a connection, or the first byte of a request, to the end of its headers. */
  headersMs: number
  /** The same to the end of the body; a request needs a fraction of it. */
  requestMs: number
  /** How often those two are looked at: the most that a slow sender gets on top. */
  slowCheckMs: number
  /** A connection on which nothing moves while an answer is due or stuck. */
  silentMs: number
  /**
   * A connection between two requests. Longer than the 60 s for which nginx and the balancers of the clouds keep
   * theirs: the side that sends must be the one that closes, or a start is lost on the way.
   */
  idleMs: number
  connectionsMax: number
  /**
   * Requests of one connection that may be under way. Browsers, proxies and clients wait for each answer; without a
   * bound one connection could keep the whole program busy, and its limits of connections would hold nothing.
   */
  underWayMax: number
}

export const SERVER_LIMITS: Omit<ServerLimits, 'connectionsMax'> = {
  headersMaxBytes: 8 * 1024,
  headersMax: 64,
  headersMs: 5_000,
  requestMs: 10_000,
  slowCheckMs: 1_000,
  silentMs: 15_000,
  idleMs: 65_000,
  underWayMax: 8,
}

/** What is refused before there is a request: Node's error code, or ours, and the status. */
const STATUS_OF: Readonly<Record<string, RefusedStatus>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}
const WORDS = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
} as const
type RefusedStatus = keyof typeof WORDS

/** An attack makes one line in this time, with how many it stands for. */
const DROPPED_LINE_EVERY_MS = 10_000

type Options = {
  fetch: Parameters<typeof getRequestListener>[0]
  /** Stands in for a Host header, which HTTP/1.0 does not need. */
  hostname: string
  production: boolean
  limits: ServerLimits
  log: Log
}

export function createApiServer({ fetch, hostname, production, limits, log }: Options): Server {
  const headers = { ...headersOf(production), 'Content-Type': 'text/plain', Connection: 'close' }
  const note = (status: RefusedStatus, reason: string, socket: Socket) =>
    log.info({ status, reason, client_ip: socket.remoteAddress }, 'refused before it was a request')
  const answer = getRequestListener(fetch, {
    hostname,
    // A target or a Host that makes no address; or a fault beyond the app's own way of answering faults.
    errorHandler(error) {
      const status = error instanceof RequestError ? 400 : 500
      if (status === 400) log.info({ status, reason: 'no_address' }, 'refused before it was a request')
      else log.error({ status, fault: faultName(error) }, 'a request failed')
      return new Response(bodyOf(status), { status, headers })
    },
  })

  function refuse(status: RefusedStatus, reason: string, outgoing: ServerResponse): void {
    if (outgoing.socket) note(status, reason, outgoing.socket)
    outgoing.writeHead(status, { ...headers, 'Content-Length': bodyOf(status).length }).end(bodyOf(status))
  }

  const underWay = new WeakMap<Duplex, number>()

  /** Whether a connection may have one more under way. One that may not is cut off: it is told nothing in turn. */
  function admits({ socket }: IncomingMessage, outgoing: ServerResponse): boolean {
    const count = (underWay.get(socket) ?? 0) + 1
    if (count > limits.underWayMax) {
      if (!socket.destroyed) note(429, 'too_many_under_way', socket)
      socket.destroy()
      return false
    }
    underWay.set(socket, count)
    outgoing.once('close', () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1))
    return true
  }

  const latest = new WeakMap<Duplex, Exchange>()
  const server = createServer(
    {
      maxHeaderSize: limits.headersMaxBytes,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.slowCheckMs,
      keepAliveTimeout: limits.idleMs,
      // Said by refusalOf, with our headers.
      requireHostHeader: false,
      insecureHTTPParser: false,
    },
    (incoming, outgoing) => {
      if (!admits(incoming, outgoing)) return
      latest.set(incoming.socket, { incoming, outgoing })
      const reason = refusalOf(incoming)
      if (reason !== undefined) return refuse(400, reason, outgoing)
      if (incoming.rawHeaders.length > 2 * limits.headersMax) return refuse(431, 'too_many_headers', outgoing)
      return answer(incoming, outgoing)
    },
  )
  server.maxHeadersCount = limits.headersMax + 1
  server.maxConnections = limits.connectionsMax
  server.setTimeout(limits.silentMs)
  server.on('checkExpectation', (_, outgoing) => refuse(417, 'expectation', outgoing))
  server.on('clientError', (error, socket) => {
    const reason = 'code' in error && typeof error.code === 'string' ? error.code : faultName(error)
    // Who hung up was not refused, and may have had an answer before.
    if (reason === 'ECONNRESET') return void socket.destroy()
    const status = STATUS_OF[reason] ?? 400
    if (socket instanceof Socket) note(status, reason, socket)
    answerInTurn(socket, latest.get(socket), wholeAnswer(status, headers))
  })
  countDropped(server, log)
  return server
}

export function listenOn(
  server: Server,
  place: { host: string; port: number },
  onListening: (address: AddressInfo) => void,
): Server {
  return server.listen(place.port, place.host, () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') onListening(address)
  })
}

/**
 * RFC 9112 §3.2: one Host, and in HTTP/1.1 not none. And a caller: who resets the connection behind a request leaves it
 * without an address, which no limit could then be counted for.
 */
function refusalOf({ rawHeaders, httpVersion, socket }: IncomingMessage): string | undefined {
  if (socket.remoteAddress === undefined) return 'caller_gone'
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  if (hosts > 1) return 'two_hosts'
  return hosts === 0 && httpVersion === '1.1' ? 'no_host' : undefined
}

function bodyOf(status: RefusedStatus): string {
  return `${WORDS[status]}\n`
}

function wholeAnswer(status: RefusedStatus, headers: Readonly<Record<string, string>>): string {
  const body = bodyOf(status)
  const lines = Object.entries({ ...headers, 'Content-Length': String(body.length) })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${status} ${WORDS[status]}\r\n${head}\r\n${body}`
}

type Exchange = { incoming: IncomingMessage; outgoing: ServerResponse }

/**
 * Never in place of an answer that is due, nor as a second one to the same request. Who goes on after being told is
 * refused once more, and then there is nothing left to write: the connection goes.
 */
function answerInTurn(socket: Duplex, latest: Exchange | undefined, answer: string): void {
  const { incoming, outgoing } = latest ?? {}
  if (!socket.writable || (outgoing?.headersSent && !incoming?.complete)) return void socket.destroy()
  if (outgoing && incoming?.complete && !outgoing.writableFinished) {
    outgoing.once('finish', () => socket.end(answer))
  } else socket.end(answer)
}

/** Above the cap a connection is closed without a word: there is no room for one. */
function countDropped(server: Server, log: Log): void {
  let dropped = 0
  let quiet: NodeJS.Timeout | undefined

  /** The first at once, and those of the time that follows together at its end. */
  function tell(): void {
    quiet = undefined
    if (dropped === 0) return
    log.warn({ count: dropped }, 'connections refused, there are MAX_CONNECTIONS of them')
    dropped = 0
    quiet = setTimeout(tell, DROPPED_LINE_EVERY_MS).unref()
  }

  server.on('drop', () => {
    dropped += 1
    if (quiet === undefined) tell()
  })
}
