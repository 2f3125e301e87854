/** The API's port under callers that mean it ill: slow ones are cut off, too many are let go, and the others go on. */
import { connect } from 'node:net'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { type Service, startService } from '#test/fixtures/service.ts'

const GET = 'GET /livez HTTP/1.1\r\nHost: x\r\n'

let service: Service | undefined
afterEach(async () => {
  await service?.stop()
  service = undefined
})

/** A caller who sends this and nothing more; what comes back until it is closed, and how long that took. */
function caller(url: string, sent: string): Promise<{ reply: string; ms: number }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(sent))
  onTestFinished(() => void socket.destroy())
  const startedAt = performance.now()
  let reply = ''
  socket.setEncoding('utf8').on('data', (part: string) => {
    reply += part
  })
  return new Promise((resolve) => {
    socket.on('error', () => {})
    socket.once('close', () => resolve({ reply, ms: performance.now() - startedAt }))
  })
}

it('slow callers take every connection there may be, are told so and cut off; who has one is answered all along', {
  timeout: 40_000,
}, async () => {
  service = await startService({ redisUrl: testRedisUrl(), workers: 0, env: { MAX_CONNECTIONS: '20' } })
  await service.ready()
  const [api] = service.apis
  if (!api) throw new Error('no api')
  // On a connection that is kept.
  const alive = async () => (await fetch(`${api.url}/livez`)).status
  const newcomer = async () => (await caller(api.url, `${GET}Connection: close\r\n\r\n`)).reply
  expect([await alive(), await newcomer()]).toEqual([200, expect.stringMatching(/^HTTP\/1\.1 200 /)])

  const slow = Array.from({ length: 30 }, (_, index) => caller(api.url, GET.slice(0, index)))
  await vi.waitFor(async () => expect(await newcomer()).toBe(''))
  expect(await alive()).toBe(200)

  const ended = await Promise.all(slow)
  const told = ended.filter(({ reply }) => reply !== '')
  expect(told.length).toBeGreaterThan(10)
  expect(told.length).toBeLessThan(20)
  for (const { reply, ms } of told) {
    expect(reply).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*\r\n\r\nRequest Timeout\n$/)
    expect(ms).toBeLessThan(12_000)
  }
  expect([await alive(), await newcomer()]).toEqual([200, expect.stringMatching(/^HTTP\/1\.1 200 /)])
  // The first at once; those of the ten seconds after it together.
  const refused = () =>
    [
      ...api
        .output()
        .matchAll(/"count":(\d+),"msg":"connections refused, there are MAX_CONNECTIONS of them"/g),
    ]
      .map(([, count]) => Number(count))
      .reduce((sum, count) => sum + count, 0)
  await vi.waitFor(() => expect(refused()).toBeGreaterThanOrEqual(slow.length - told.length), 12_000)
})
