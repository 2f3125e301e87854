/** The pace of a number over all workers, and an API that knows it, with the programs as they run. */
import { afterEach, expect, it, vi } from 'vitest'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { numberEnding, type Service, startService } from '#test/fixtures/service.ts'

let service: Service | undefined
afterEach(async () => {
  await service?.stop()
  service = undefined
})

async function startWith(env: Record<string, string>, workers: number): Promise<Service> {
  service = await startService({ redisUrl: testRedisUrl(), workers, env: { ...UNLIMITED, ...env } })
  await service.ready()
  return service
}

/** The gate would stop a crowd before the pace is met. */
const UNLIMITED = Object.fromEntries(
  ['REGION_HOUR', 'REGION_DAY', 'APPLICATION_HOUR', 'OVERALL_HOUR'].map((rule) => [`LIMIT_${rule}`, 'off']),
)

type Attempt = { started_at: string; outcome: string; from: string }
const sendsIn = (body: Record<string, unknown>) => (body.sends ?? []) as { timeline: Attempt[] }[]

it('two workers together send no more than one number may, and each message once', async () => {
  const { start, call, sandbox, workers } = await startWith({ SIGNALWIRE_NUMBER: '+12025550101:20' }, 2)
  const numbers = Array.from({ length: 80 }, () => numberEnding())
  const ids = await Promise.all(numbers.map(async (to) => (await start(to)).body.id))
  await vi.waitFor(
    () => expect(numbers.filter((to) => sandbox.messages(to).length > 0)).toHaveLength(80),
    20_000,
  )
  const attempts = await vi.waitFor(async () => {
    const views = await Promise.all(ids.map((id) => call('GET', `/v1/verifications/${id}`)))
    const timelines = views.map(({ body }) => sendsIn(body)[0]?.timeline ?? [])
    expect(timelines.map((timeline) => timeline.map(({ outcome }) => outcome))).toEqual(
      Array(80).fill(['accepted']),
    )
    return timelines.flat()
  })
  expect(numbers.map((to) => sandbox.messages(to).length)).toEqual(Array(80).fill(1))
  expect(new Set(attempts.map(({ from }) => from))).toEqual(new Set(['+12025550101']))
  const times = attempts.map(({ started_at }) => Date.parse(started_at)).sort((a, b) => a - b)
  for (const [index, from] of times.entries())
    for (const [more, to] of times.slice(index).entries())
      expect(more + 1).toBeLessThanOrEqual(20 + (20 * (to - from + 1)) / 1_000)
  for (const worker of workers) expect(worker.output()).toContain('"msg":"attempt"')
})

it('an API tells callers when more waits than its numbers can send in time, and takes codes again later', async () => {
  const { start, call } = await startWith(
    { SIGNALWIRE_NUMBER: '+12025550101:0.1', CODE_TTL_SECONDS: '120' },
    1,
  )
  const answers = []
  for (let round = 0; round < 10; round++) answers.push(await start(numberEnding()))
  const taken = answers.filter(({ status }) => status === 202)
  const refused = answers.filter(({ status }) => status === 503)
  // Six leave in the minute in which a code is worth sending, and one leaves at once.
  expect(taken.length).toBeGreaterThanOrEqual(7)
  expect(taken.length).toBeLessThanOrEqual(8)
  expect(refused).toHaveLength(10 - taken.length)
  for (const { body, headers } of refused) {
    expect(body.code).toBe('delivery_backlog')
    expect(Number(headers.get('Retry-After'))).toBeGreaterThanOrEqual(5)
  }
  for (const { body } of taken) await call('DELETE', `/v1/verifications/${body.id}`)
  expect((await start(numberEnding())).status).toBe(202)
})
