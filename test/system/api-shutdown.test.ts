/** The API told to stop while callers keep their connections open and go on calling. */
import { Agent, request } from 'node:http'
import { afterEach, expect, it, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { numberEnding, type Service, startService } from '#test/fixtures/service.ts'

let service: Service | undefined
afterEach(async () => {
  await service?.stop()
  service = undefined
})

function call(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/livez`, { agent }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.once('error', reject).end()
  })
}

it.each([0, 150])(
  'an api told to stop lets go of a caller who calls again every %i ms, and exits 0',
  async (pauseMs) => {
    service = await startService({ redisUrl: testRedisUrl(), workers: 0 })
    await service.ready()
    const [api] = service.apis
    if (!api) throw new Error('no api')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    expect(await call(api.url, agent)).toBe(200)
    let calling = true
    const caller = (async () => {
      while (calling) {
        await call(api.url, agent).catch(() => undefined)
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    })()
    const startedAt = performance.now()
    api.kill('SIGTERM')
    expect(await api.ended).toEqual({ code: 0, signal: null })
    expect(performance.now() - startedAt).toBeLessThan(4_000)
    calling = false
    await caller
    agent.destroy()
  },
)

it('an api told to stop lets go of those who follow a verification, and exits 0', async () => {
  service = await startService({ redisUrl: testRedisUrl(), workers: 0 })
  await service.ready()
  const [api] = service.apis
  const { body } = await service.start(numberEnding())
  const stream = await fetch(`${api?.url}/v1/verifications/${body.id}/events`)
  const heard: string[] = []
  const read = (async () => {
    for await (const part of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) heard.push(part)
  })()
  await vi.waitFor(() => expect(heard.join('')).toContain('event: delivery'))
  const startedAt = performance.now()
  api?.kill('SIGTERM')
  expect(await api?.ended).toEqual({ code: 0, signal: null })
  expect(performance.now() - startedAt).toBeLessThan(4_000)
  await read
  expect(heard.join('')).not.toContain('event: end')
})
