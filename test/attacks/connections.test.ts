/** A caller who does not behave as HTTP clients do: requests that never end, and more of them than anybody waits for. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SERVER_LIMITS } from '#api/server.ts'
import { apiOn, keptLog, type Line } from '#test/api/api.ts'
import { listen } from '#test/api/port.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { elsewhere } from './stranger.ts'

const connection = useRedis()
const JSON_TYPE = 'Content-Type: application/json\r\n'
const STATED = `${JSON_TYPE}Content-Length: 90\r\n\r\n{"client_ip":"203.`
const CHUNKED = `${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n5a\r\n{"client_ip":"203.`

async function opened(port: number) {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

describe.each([
  ['of stated length', STATED],
  ['in chunks', CHUNKED],
])('a request whose body %s is cut off', (_, rest) => {
  it('has nothing sent again, and is no fault of ours', async () => {
    const api = apiOn(connection.redis, { policy: { resendWaitsMs: [0, 0] } })
    const { id } = await api.start()
    const { port } = await listen(api.app)
    const socket = await opened(port)
    socket.write(`POST /v1/verifications/${id}/sends HTTP/1.1\r\nHost: x\r\n${rest}`)
    // Once it is being served; what never came to the app would show nothing.
    await vi.waitFor(() => expect(socket.bytesWritten).toBeGreaterThan(100))
    socket.end()
    await vi.waitFor(() => expect(api.lines).toHaveLength(2))
    expect(api.lines[1]).toMatchObject({ level: 'info', status: 400, refusal: 'malformed_json' })
    expect(api.enqueued).toHaveLength(1)
  })
})

describe('a caller who asks and asks before any answer has come', () => {
  const post = (number: string) => {
    const body = new URLSearchParams({ number }).toString()
    const type = 'Content-Type: application/x-www-form-urlencoded'
    return `POST /request-auth HTTP/1.1\r\nHost: x\r\n${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }

  it('is cut off, and no more than a few of the requests of a connection are under way', async () => {
    const { underWayMax } = SERVER_LIMITS
    const lines: Line[] = []
    const api = apiOn(connection.redis, { formAnswerMs: 150 })
    const { port } = await listen(api.app, { log: keptLog(lines) })
    const socket = await opened(port)
    const cut = once(socket, 'close')
    socket.write(Array.from({ length: 100 }, () => post(elsewhere())).join(''))
    socket.resume()
    await cut
    expect(lines).toMatchObject([{ status: 429, reason: 'too_many_under_way', client_ip: '127.0.0.1' }])
    await vi.waitFor(() => expect(api.lines).toHaveLength(underWayMax))
  })

  it('may ask as often as they like one after the other', async () => {
    const api = apiOn(connection.redis)
    const { port } = await listen(api.app)
    const socket = await opened(port)
    for (let turn = 1; turn <= 2 * SERVER_LIMITS.underWayMax; turn++) {
      socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
      const [answer] = await once(socket, 'data')
      expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /)
    }
  })
})
