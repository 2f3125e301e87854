/** What only a real port shows: bodies at the limit, stated or in chunks, addresses of sockets, and odd requests. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { type Api, apiOn, expectProblem, jsonOf, WITH_KEYS } from './api.ts'
import { listen } from './port.ts'

const connection = useRedis()
const LIMIT = 8 * 1024
const TYPE = { 'Content-Type': 'application/json' }

/** A valid start of exactly so many bytes: JSON takes any white space. */
function bodyOf(bytes: number): string {
  const text = JSON.stringify({ to: freshDestination() })
  return text + ' '.repeat(bytes - text.length)
}

function chunked(text: string): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  let at = 0
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.subarray(at, at + 1_000))
      at += 1_000
      if (at >= bytes.length) controller.close()
    },
  })
}

async function started(api: Api = apiOn(connection.redis)) {
  const { origin, port } = await listen(api.app)
  return { api, port, url: `${origin}/v1/verifications` }
}

/** Sends text as it stands and answers all that comes back until the server closes. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let reply = ''
  socket.setEncoding('utf8').on('data', (part: string) => {
    reply += part
  })
  socket.write(text)
  await once(socket, 'close')
  return reply
}

describe.each([
  ['stated', (url: string, body: string) => fetch(url, { method: 'POST', headers: TYPE, body })],
  [
    'in chunks',
    (url: string, body: string) =>
      fetch(url, { method: 'POST', headers: TYPE, body: chunked(body), duplex: 'half' } as RequestInit),
  ],
])('a body %s', (_, post) => {
  it.each([
    [LIMIT - 1, 202],
    [LIMIT, 202],
    [LIMIT + 1, 413],
    [10 * LIMIT, 413],
  ])('of %i bytes is answered %i', async (bytes, status) => {
    const { api, url } = await started()
    const response = await post(url, bodyOf(bytes))
    if (status === 202) return void (await jsonOf(response, 202))
    await expectProblem(response, 413, 'body_too_large')
    expect(api.enqueued).toEqual([])
  })
})

it('a body that is stated too large is refused before it comes', async () => {
  const { port } = await started()
  const reply = await raw(
    port,
    'POST /v1/checks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n',
  )
  expect(reply).toMatch(/^HTTP\/1\.1 413 /)
  expect(reply).toContain('"code":"body_too_large"')
})

it('a body in chunks of a caller nobody knows is not waited for', async () => {
  const { port } = await started(apiOn(connection.redis, { config: WITH_KEYS }))
  const reply = await raw(
    port,
    'POST /v1/checks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n',
  )
  expect(reply).toMatch(/^HTTP\/1\.1 401 /)
})

it('a smuggled second length is refused', async () => {
  const { api, port } = await started()
  const reply = await raw(
    port,
    'POST /v1/checks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
  )
  expect(reply).toMatch(/^HTTP\/1\.1 400 /)
  expect(api.lines).toEqual([])
})

it.each(['TRACE', 'OPTIONS', 'PROPFIND', 'CONNECT'])(
  '%s is not answered with a 200 or a 500',
  async (method) => {
    const { port } = await started()
    const reply = await raw(
      port,
      `${method} /v1/checks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Marker: marker\r\n\r\n`,
    )
    expect(reply).not.toMatch(/^HTTP\/1\.1 (2|5)/)
    expect(reply).not.toContain('marker')
  },
)

describe('the address in the log', () => {
  const lineOf = async (trustedProxies: string[], headers: Record<string, string>) => {
    const { api, url } = await started(apiOn(connection.redis, { config: { trustedProxies } }))
    await fetch(url, { headers })
    return api.lines[0]
  }
  const forged = {
    'X-Forwarded-For': '198.51.100.1',
    Forwarded: 'for=198.51.100.2',
    'X-Real-IP': '198.51.100.3',
  }

  it('is the socket’s, whatever the headers say', async () => {
    expect(await lineOf([], forged)).toMatchObject({ client_ip: '127.0.0.1' })
  })

  it('is what a trusted proxy says', async () => {
    expect(await lineOf(['127.0.0.0/8'], forged)).toMatchObject({ client_ip: '198.51.100.1' })
  })
})

it('every security header is on the wire once', async () => {
  const { port } = await started()
  const reply = await raw(port, 'GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  const names = [...reply.matchAll(/^([\w-]+): /gm)].map(([, name = '']) => name.toLowerCase())
  expect(names).toContain('content-security-policy')
  expect(names).toContain('x-content-type-options')
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
})
