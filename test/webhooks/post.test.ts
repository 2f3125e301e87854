/** One POST of an event, on the wire: where it goes, what it carries, what each answer means, and what it never does. */
import { once } from 'node:events'
import http from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { certificateFor } from '#test/fixtures/certificate.ts'
import { receiver, SECRET } from '#test/fixtures/receiver.ts'
import type { Resolve } from '#webhooks/addresses.ts'
import { createPost, type Posted, type PostOptions } from '#webhooks/post.ts'
import { parseSecret } from '#webhooks/signature.ts'

const secret = parseSecret(SECRET)
if (!secret) throw new Error('no secret')
const running = new AbortController().signal
const body = '{"type":"verification.approved","timestamp":"2026-11-24T09:30:00.000Z","data":{}}'
const here: Resolve = async () => [{ address: '127.0.0.1', family: 4 }]

function postTo(url: URL | string, more: Partial<PostOptions> = {}) {
  const post = createPost({
    url: new URL(url),
    secrets: [secret as Buffer],
    allowPrivate: true,
    timeoutMs: 10_000,
    resolve: here,
    ...more,
  })
  return (signal = running) => post({ id: 'evt_1', body, atMs: Date.now() }, signal)
}

/** A receiver that does as it likes with its socket once it was spoken to; `closed` when it has been hung up on. */
async function rawReceiver(behave: (socket: Socket) => unknown) {
  const closed = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('close', () => closed.resolve())
    // Whatever else comes is read, so that the end of the connection is noticed.
    socket.once('data', () => behave(socket)).resume()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  return { url: `http://127.0.0.1:${port}/`, closed: closed.promise }
}

describe('a webhook', () => {
  it('is a signed POST of JSON that the library of the standard takes', async () => {
    const { url, received } = await receiver()
    expect(await postTo(url)()).toEqual({ kind: 'taken', status: 204 })
    const [{ headers, path, body: sent } = { headers: {}, path: '', body: '' }] = received
    expect(path).toBe('/events?from=2fa')
    expect(headers['content-type']).toBe('application/json')
    expect(new Webhook(SECRET).verify(sent, headers as Record<string, string>)).toEqual(JSON.parse(body))
    expect(sent).toBe(body)
    expect(Object.keys(headers).sort()).toEqual([
      ...['connection', 'content-length', 'content-type', 'host', 'user-agent'],
      ...['webhook-id', 'webhook-signature', 'webhook-timestamp'],
    ])
  })

  it.each([
    [200, { kind: 'taken', status: 200 }],
    [299, { kind: 'taken', status: 299 }],
    [199 + 101, { kind: 'refused', status: 300 }],
    [302, { kind: 'refused', status: 302 }],
    [400, { kind: 'refused', status: 400 }],
    [404, { kind: 'refused', status: 404 }],
    [410, { kind: 'gone', status: 410 }],
    [429, { kind: 'refused', status: 429 }],
    [500, { kind: 'refused', status: 500 }],
    [503, { kind: 'refused', status: 503 }],
  ])('answered %i has come to %j', async (status, posted) => {
    const { url } = await receiver([status])
    expect(await postTo(url)()).toEqual(posted)
  })

  it.each([
    [429, '7', 7_000],
    [503, '0', 0],
    [503, new Date(Date.now() + 3_600_000).toUTCString(), 3_600_000],
    [503, new Date(Date.now() - 3_600_000).toUTCString(), 0],
    [503, 'soon', undefined],
    [503, '-5', undefined],
    [502, '7', 7_000],
    [301, '7', 7_000],
    [200, '7', undefined],
  ])('answered %i with Retry-After %s waits that long', async (status, text, ms) => {
    const { url } = await receiver([
      (response) => void response.writeHead(status, { 'Retry-After': text }).end(),
    ])
    const posted = await postTo(url)()
    const waitMs = posted.kind === 'refused' ? posted.retryAfterMs : undefined
    if (ms === undefined) return void expect(waitMs).toBeUndefined()
    expect(Math.abs((waitMs ?? Number.NaN) - ms)).toBeLessThanOrEqual(ms > 10_000 ? 60_000 : 0)
  })

  it('follows no redirect, not even to itself', async () => {
    const elsewhere = await receiver()
    const { url, received } = await receiver([
      (response) => void response.writeHead(307, { Location: elsewhere.url.href }).end(),
    ])
    expect(await postTo(url)()).toEqual({ kind: 'refused', status: 307 })
    expect([received.length, elsewhere.received.length]).toEqual([1, 0])
  })

  it('goes by no proxy, whatever the environment names', async () => {
    const usual = http.globalAgent
    http.globalAgent = new http.Agent({ proxyEnv: { HTTP_PROXY: 'http://127.0.0.1:1' } })
    onTestFinished(() => {
      http.globalAgent = usual
    })
    const { url } = await receiver()
    expect(await postTo(url)()).toEqual({ kind: 'taken', status: 204 })
  })

  it('reads nothing of an answer that never ends', async () => {
    let closed: Promise<unknown> | undefined
    const { url } = await receiver([
      (response) => {
        closed = once(response, 'close')
        response.writeHead(200)
        const pour = () => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
        }
        response.on('drain', pour)
        pour()
      },
    ])
    expect(await postTo(url, { timeoutMs: 60_000 })()).toEqual({ kind: 'taken', status: 200 })
    await closed
  })

  it.each<[string, (socket: Socket) => unknown]>([
    ['that does not answer', () => {}],
    ['that begins an answer and never ends its headers', (socket) => socket.write('HTTP/1.1 200 OK\r\n')],
    [
      'whose headers trickle',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        const drip = setInterval(() => socket.write('X-Wait: yes\r\n'), 20)
        socket.once('close', () => clearInterval(drip))
      },
    ],
    ['that says 100 and nothing more', (socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n')],
  ])('to a receiver %s ends at its deadline', async (_, behave) => {
    const { url, closed } = await rawReceiver(behave)
    expect(await postTo(url, { timeoutMs: 300 })()).toEqual({ kind: 'failed', reason: 'timeout' })
    await closed
  })

  const endless = (text: string) => (socket: Socket) => {
    const pour = () => {
      while (!socket.destroyed && socket.write(text.repeat(100)));
    }
    socket.on('drain', pour)
    pour()
  }

  it.each<[string, Posted, (socket: Socket) => unknown]>([
    [
      'that switches protocols',
      { kind: 'refused', status: 101 },
      (socket) =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    ],
    [
      'that switches protocols to none',
      { kind: 'refused', status: 101 },
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
    ],
    [
      'that says 100 for ever',
      { kind: 'failed', reason: 'connection_failed' },
      endless('HTTP/1.1 100 Continue\r\n\r\n'),
    ],
    [
      'that says 103 for ever',
      { kind: 'failed', reason: 'connection_failed' },
      endless('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'),
    ],
    [
      'whose answer has a body that never ends',
      { kind: 'refused', status: 500 },
      (socket) => socket.write('HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n'),
    ],
    [
      'that announces an answer and gives it',
      { kind: 'taken', status: 200 },
      (socket) =>
        socket.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    ],
    [
      'that closes before it answers',
      { kind: 'failed', reason: 'connection_failed' },
      (socket) => socket.end(),
    ],
    [
      'that closes between two headers',
      { kind: 'failed', reason: 'connection_failed' },
      (socket) => socket.end('HTTP/1.1 200 OK\r\nX-Wait: yes\r\n'),
    ],
    [
      'that speaks no HTTP',
      { kind: 'failed', reason: 'connection_failed' },
      (socket) => socket.write('+OK\r\n'),
    ],
  ])('to a receiver %s comes to %j at once', async (_, posted, behave) => {
    const { url, closed } = await rawReceiver(behave)
    expect(await postTo(url, { timeoutMs: 60_000 })()).toEqual(posted)
    await closed
  })

  it('ends when the program stops', async () => {
    const stop = new AbortController()
    const { url } = await receiver([() => stop.abort()])
    expect(await postTo(url)(stop.signal)).toEqual({ kind: 'failed', reason: 'timeout' })
  })

  it('to a name that is never resolved ends at its deadline', async () => {
    const post = postTo('http://hooks.example.test/', { timeoutMs: 50, resolve: () => new Promise(() => {}) })
    expect(await post()).toEqual({ kind: 'failed', reason: 'timeout' })
  })

  it.each([
    ['nobody listens', 'http://127.0.0.1:1/', 'connection_failed'],
    ['the name leads nowhere', 'http://nowhere.example.test/', 'address_not_found'],
  ])('where %s says so', async (_, url, reason) => {
    const resolve: Resolve = () => Promise.reject(new Error('ENOTFOUND'))
    expect(await postTo(url, { resolve })()).toEqual({ kind: 'failed', reason })
  })
})

describe('the address', () => {
  it('is the checked one, under the name: Host stays, and the name is asked for once', async () => {
    const { port, received } = await receiver()
    let asked = 0
    const rebinding: Resolve = async () => {
      asked += 1
      return [{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]
    }
    const post = postTo(`http://hooks.example.test:${port}/`, { resolve: rebinding })
    expect(await post()).toEqual({ kind: 'taken', status: 204 })
    expect(asked).toBe(1)
    expect(received[0]?.headers.host).toBe(`hooks.example.test:${port}`)
    expect(await post()).toEqual({ kind: 'failed', reason: 'address_not_allowed' })
    expect(received).toHaveLength(1)
  })

  it.each([['127.0.0.1'], ['10.0.0.1', '8.8.8.8'], ['::1'], ['::ffff:127.0.0.1']])(
    'of this machine or network is not told anything: %s',
    async (...addresses) => {
      const { port, received } = await receiver()
      const resolve: Resolve = async () =>
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      const post = postTo(`http://hooks.example.test:${port}/`, { resolve, allowPrivate: false })
      expect(await post()).toEqual({ kind: 'failed', reason: 'address_not_allowed' })
      expect(received).toEqual([])
    },
  )
})

describe('over TLS', () => {
  const NAME = 'hooks.example.test'
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
  afterEach(() => {
    setDefaultCACertificates(getCACertificates('bundled'))
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
  })

  async function secureReceiver(name: string, { trusted }: { trusted: boolean }) {
    const { key, cert } = certificateFor(name)
    if (trusted) setDefaultCACertificates([cert])
    const heard: { body: string; asked: unknown }[] = []
    const server = createSecureServer({ key, cert }, async (request, response) => {
      let body = ''
      for await (const part of request.setEncoding('utf8')) body += part
      heard.push({ body, asked: (request.socket as TLSSocket).servername })
      response.writeHead(204).end()
    })
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as { port: number }
    return { heard, post: postTo(`https://${NAME}:${port}/`) }
  }

  it('the receiver is asked for by its name and must prove it', async () => {
    const { heard, post } = await secureReceiver(NAME, { trusted: true })
    expect(await post()).toEqual({ kind: 'taken', status: 204 })
    expect(heard).toEqual([{ body, asked: NAME }])
  })

  it.each([
    ['one who proves to be somebody else', 'other.example.test', true],
    ['one whom nobody vouches for', NAME, false],
  ])('%s gets no event', async (_, name, trusted) => {
    const { heard, post } = await secureReceiver(name, { trusted })
    expect(await post()).toEqual({ kind: 'failed', reason: 'certificate_refused' })
    expect(heard).toEqual([])
  })

  it('nor when the environment says to believe anybody', async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    const { heard, post } = await secureReceiver(NAME, { trusted: false })
    expect(await post()).toEqual({ kind: 'failed', reason: 'certificate_refused' })
    expect(heard).toEqual([])
  })
})
