/** Connections, as a caller means them ill: too much, too slow, too many, or no HTTP at all. On a real port. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createApiServer, SERVER_LIMITS, type ServerLimits } from '#api/server.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import { apiOn, keptLog, type Line } from './api.ts'
import { listen } from './port.ts'

const connection = useRedis()
const GET = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'

async function serving(limits: Partial<ServerLimits> = {}) {
  const api = apiOn(connection.redis)
  const lines: Line[] = []
  const { port } = await listen(api.app, { limits, log: keptLog(lines) })
  return { api, lines, port, open: () => client(port) }
}

/** A connection that keeps what came back; it is closed by the server, or when the test ends. */
async function client(port: number) {
  const socket: Socket = connect(port, '127.0.0.1')
  let reply = ''
  socket.setEncoding('utf8').on('data', (part: string) => {
    reply += part
  })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return {
    socket,
    closed,
    reply: () => reply,
    says: (text: string) => vi.waitFor(() => expect(reply).toContain(text)),
    async all(): Promise<string> {
      await closed
      return reply
    },
  }
}

/** Every byte a refusal has, besides the status: the same whatever was sent. */
function expectShort(reply: string, status: number, words: string): void {
  const [head = '', body] = reply.split('\r\n\r\n')
  const [first, ...lines] = head.split('\r\n')
  expect(first).toBe(`HTTP/1.1 ${status} ${words}`)
  expect(body).toBe(`${words}\n`)
  const headers = Object.fromEntries(lines.map((line) => line.toLowerCase().split(': ')))
  expect(headers).toMatchObject({
    connection: 'close',
    'content-type': 'text/plain',
    'content-length': String(words.length + 1),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY'.toLowerCase(),
    'content-security-policy': expect.stringContaining("default-src 'none'"),
  })
  expect(reply).not.toMatch(/marker|node|express|hono/i)
}

const headersOf = (count: number) =>
  Array.from({ length: count }, (_, index) => `X-${index}: marker\r\n`).join('')
const LONG = 'marker'.repeat(2_000)

describe('what never becomes a request is refused in a fixed short form:', () => {
  it.each([
    ['no HTTP at all', 400, 'Bad Request', 'marker\r\n\r\n'],
    ['TLS on a port without it', 400, 'Bad Request', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03marker'],
    ['HTTP/2 without asking', 400, 'Bad Request', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a version of its own', 400, 'Bad Request', 'GET / HTTP/9.9\r\nHost: marker\r\n\r\n'],
    ['a space before the colon', 400, 'Bad Request', 'GET / HTTP/1.1\r\nHost : marker\r\n\r\n'],
    ['a folded header', 400, 'Bad Request', 'GET / HTTP/1.1\r\nHost: x\r\nX-A: a\r\n marker\r\n\r\n'],
    ['a line feed alone', 400, 'Bad Request', 'GET / HTTP/1.1\nHost: marker\n\n'],
    ['a NUL in a header', 400, 'Bad Request', 'GET / HTTP/1.1\r\nHost: x\r\nX-A: marker\0\r\n\r\n'],
    [
      'two lengths',
      400,
      'Bad Request',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nmarker',
    ],
    [
      'a length beside chunks',
      400,
      'Bad Request',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
    ],
    ['a negative length', 400, 'Bad Request', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'],
    ['no host', 400, 'Bad Request', 'GET /marker HTTP/1.1\r\n\r\n'],
    ['two hosts', 400, 'Bad Request', 'GET / HTTP/1.1\r\nHost: a\r\nHost: marker\r\n\r\n'],
    ['a host that is none', 400, 'Bad Request', 'GET / HTTP/1.1\r\nHost: mar ker\r\n\r\n'],
    ['a host with a path', 400, 'Bad Request', 'GET / HTTP/1.1\r\nHost: x/marker\r\n\r\n'],
    ['a target that is none', 400, 'Bad Request', 'GET marker HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a backslash in the path', 400, 'Bad Request', 'GET /\\marker HTTP/1.1\r\nHost: x\r\n\r\n'],
    [
      'an expectation nobody can meet',
      417,
      'Expectation Failed',
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: marker\r\nContent-Length: 1\r\n\r\n',
    ],
    [
      'headers that are too large',
      431,
      'Request Header Fields Too Large',
      `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${LONG}\r\n\r\n`,
    ],
    [
      'an address that is too long',
      431,
      'Request Header Fields Too Large',
      `GET /${LONG} HTTP/1.1\r\nHost: x\r\n\r\n`,
    ],
    [
      'one header too many',
      431,
      'Request Header Fields Too Large',
      `GET / HTTP/1.1\r\nHost: x\r\n${headersOf(64)}\r\n`,
    ],
    [
      'many headers too many',
      431,
      'Request Header Fields Too Large',
      `GET / HTTP/1.1\r\nHost: x\r\n${headersOf(400)}\r\n`,
    ],
  ])('%s', async (_, status, words, sent) => {
    const { api, lines, open } = await serving()
    const one = await open()
    one.socket.write(sent, 'latin1')
    expectShort(await one.all(), status, words)
    expect(api.lines, 'the app saw nothing').toEqual([])
    expect(lines.length, 'one line').toBe(1)
    expect(lines).toMatchObject([{ level: 'info', status }])
    expect(JSON.stringify(lines)).not.toContain('marker')
  })

  it('a chunk that is none, in the middle of a body', async () => {
    const { open } = await serving()
    const one = await open()
    one.socket.write(
      'POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    one.socket.write('marker\r\n')
    expectShort(await one.all(), 400, 'Bad Request')
  })

  it.each([1, 3])('never in place of an answer that is due: %i requests, then nonsense', async (count) => {
    const { open } = await serving()
    const one = await open()
    one.socket.write(`${GET.repeat(count)}marker\r\n\r\n`)
    const reply = await one.all()
    expect(reply.match(/HTTP\/1\.1 \d+/g)).toEqual([...Array(count).fill('HTTP/1.1 200'), 'HTTP/1.1 400'])
    expect(reply.match(/{"status":"alive"}/g)).toHaveLength(count)
  })

  it('never as a second answer to a request that has had its own', async () => {
    const { open } = await serving({ headersMs: 100, requestMs: 100, slowCheckMs: 20 })
    const one = await open()
    one.socket.write('POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{')
    expect((await one.all()).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404'])
  })
})

describe('who hangs up', () => {
  it('before the answer was read was not refused, and leaves no line that says so', async () => {
    const { lines, open } = await serving()
    const one = await open()
    one.socket.write(GET)
    await one.says('{"status":"alive"}')
    one.socket.resetAndDestroy()
    const other = await open()
    other.socket.write('marker\r\n\r\n')
    await other.closed
    expect(lines).toMatchObject([{ status: 400, reason: 'HPE_INVALID_METHOD' }])
  })

  it.each([
    ['that states its length', 'Content-Length: 29\r\n\r\n{"client_ip":"203.'],
    ['that does not', 'Transfer-Encoding: chunked\r\n\r\n12\r\n{"client_ip":"203.\r\n'],
  ])('in the middle of a body %s has asked for nothing', async (_, sent) => {
    const api = apiOn(connection.redis, { policy: { resendWaitsMs: [0, 60_000] } })
    const { port } = await listen(api.app)
    const { id } = await api.start()
    const one = await client(port)
    const head = `POST /v1/verifications/${id}/sends HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
    one.socket.end(`${head}${sent}`)
    await one.closed
    await vi.waitFor(() => expect(api.lines).toHaveLength(2))
    expect(api.lines).toMatchObject([{ status: 202 }, { status: 400, refusal: 'malformed_json' }])
    expect(api.enqueued, 'the first send alone').toHaveLength(1)
  })
})

it('a fault beyond the app is 500 in the same form, without a stack or a message', async () => {
  const lines: Line[] = []
  const fault = new Error('marker of /srv/app.ts:1:1')
  const { port } = await listen({ fetch: () => Promise.reject(fault) }, { log: keptLog(lines) })
  const one = await client(port)
  one.socket.write(GET)
  expectShort(await one.all(), 500, 'Internal Server Error')
  expect(lines).toMatchObject([{ level: 'error', status: 500, fault: 'Error' }])
})

describe('at the edge of what is taken', () => {
  it.each([
    ['as many headers as may be', `GET /livez HTTP/1.1\r\nHost: x\r\n${headersOf(63)}\r\n`],
    ['large headers', `GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(7_900)}\r\n\r\n`],
    ['HTTP/1.0 without a host', 'GET /livez HTTP/1.0\r\n\r\n'],
    ['the whole address', 'GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n'],
    [
      'an upgrade nobody offers',
      'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n',
    ],
  ])('%s: 200', async (_, sent) => {
    const { open } = await serving()
    const one = await open()
    one.socket.write(sent)
    await one.says('{"status":"alive"}')
    expect(one.reply()).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('CONNECT is closed without a word: we are nobody’s proxy', async () => {
    const { api, open } = await serving()
    const one = await open()
    one.socket.write('CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n')
    expect(await one.all()).not.toMatch(/^HTTP\/1\.1 2/)
    expect(api.lines).toEqual([])
  })
})

describe('a slow sender is cut off:', () => {
  const FAST = { headersMs: 300, requestMs: 600, slowCheckMs: 50 }

  it.each([
    ['one that says nothing', []],
    ['one that stops in the request line', ['GET /li']],
    ['one that stops in the headers', ['GET /livez HTTP/1.1\r\nHost: x\r\nX-A: mar']],
    [
      'one that stops in a stated body',
      [
        'POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
      ],
    ],
    [
      'one that stops in a body of chunks',
      [
        'POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n',
      ],
    ],
    ['one that stops in its second request', [GET, 'GET /li']],
  ])('%s', async (_, parts) => {
    const { open } = await serving(FAST)
    const one = await open()
    for (const part of parts) {
      one.socket.write(part)
      if (part === GET) await one.says('alive')
    }
    const reply = (await one.all()).replace(/^HTTP\/1\.1 200[\s\S]*alive"}/, '')
    expectShort(reply, 408, 'Request Timeout')
  })

  it('one that sends a header a moment, for ever', async () => {
    const { open } = await serving(FAST)
    const one = await open()
    one.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n')
    let sent = 0
    const drip = setInterval(() => one.socket.write(`X-${sent++}: a\r\n`), 20)
    onTestFinished(() => clearInterval(drip))
    expectShort(await one.all(), 408, 'Request Timeout')
    expect(sent).toBeGreaterThan(3)
  })

  it('one that goes on after it was told', async () => {
    const { port } = await serving(FAST)
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void socket.destroy())
    const told = new Promise<void>((resolve) => socket.once('end', () => resolve()))
    const cut = new Promise<void>((resolve) => socket.once('error', () => resolve()))
    socket.resume().write('GET /livez HTTP/1.1\r\nHost: x\r\n')
    const drip = setInterval(() => socket.write('X-A: a\r\n'), 20)
    onTestFinished(() => clearInterval(drip))
    await told
    await cut
  })

  it('a hundred of them at once keep nobody else waiting', async () => {
    const { open } = await serving({ connectionsMax: 150 })
    const slow = await Promise.all(Array.from({ length: 100 }, open))
    for (const { socket } of slow) socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n')
    const one = await open()
    one.socket.write(GET)
    await one.says('alive')
  })
})

describe('a connection', () => {
  it('that asks again is kept, and let go when it is idle too long', async () => {
    const { open } = await serving({ idleMs: 100 })
    const one = await open()
    one.socket.write(GET)
    await one.says('alive')
    const reply = await one.all()
    expect(reply.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(reply).toContain('Connection: keep-alive')
  })

  it('that asks and asks and never reads is let go when nothing moves any more', {
    timeout: 30_000,
  }, async () => {
    const { open } = await serving({ silentMs: 300 })
    const one = await open()
    one.socket.pause()
    const many = 'GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(500)
    const ask = setInterval(() => void (one.socket.writableLength < 1_000_000 && one.socket.write(many)), 10)
    onTestFinished(() => clearInterval(ask))
    await one.closed
  })
})

describe('too many connections', () => {
  it('are closed without a word, said once with their number, and the others go on', async () => {
    const { open, lines } = await serving({ connectionsMax: 2 })
    const [first, second] = [await open(), await open()]
    first.socket.write(GET)
    await first.says('alive')
    for (let extra = 0; extra < 3; extra++) {
      const one = await open()
      one.socket.write(GET)
      expect(await one.all()).toBe('')
    }
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ count: 1 }])
    second.socket.write(GET)
    await second.says('alive')
  })

  it('once one has gone, the next is let in', async () => {
    const { open } = await serving({ connectionsMax: 1 })
    const first = await open()
    first.socket.end()
    await first.closed
    const next = await open()
    next.socket.write(GET)
    await next.says('alive')
  })
})

it('the server that runs has these limits, and no default of Node by accident', () => {
  const server = createApiServer({
    fetch: () => new Response(),
    hostname: '127.0.0.1',
    production: true,
    limits: { ...SERVER_LIMITS, connectionsMax: 2_000 },
    log: silentLog,
  })
  const { headersTimeout, requestTimeout, keepAliveTimeout, timeout, maxConnections, maxHeadersCount } =
    server
  expect({
    headersTimeout,
    requestTimeout,
    keepAliveTimeout,
    timeout,
    maxConnections,
    maxHeadersCount,
  }).toEqual({
    headersTimeout: 5_000,
    requestTimeout: 10_000,
    keepAliveTimeout: 65_000,
    timeout: 15_000,
    maxConnections: 2_000,
    maxHeadersCount: 65,
  })
})
