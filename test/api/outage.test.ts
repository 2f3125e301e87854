/** Redis away, refused or frozen: every call says so within two seconds, nothing is sent, and it passes by itself. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { connectForRequests, watchRedis } from '#runtime/redis.ts'
import { silentLog } from '#test/fixtures/redis.ts'
import { type OwnRedis, startOwnRedis } from '#test/fixtures/redis-server.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { type Api, apiOn, expectProblem, jsonOf } from './api.ts'

const ANSWER_MS = 2_000
const BACK_MS = 10_000
const HTML = { Accept: 'text/html' }

let server: OwnRedis
let redis: ReturnType<typeof connectForRequests>
let readiness: () => Promise<string | undefined>

beforeAll(async () => {
  server = await startOwnRedis()
  redis = connectForRequests(server.url, silentLog)
  readiness = watchRedis(redis, { production: true, log: silentLog }).problem
  await ready()
})
afterEach(async () => {
  server.thaw()
  await server.restart()
  await ready()
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

const ready = () => vi.waitFor(async () => expect(await readiness()).toBeUndefined(), BACK_MS)
const fresh = () => apiOn(redis, { readiness })

async function inTime(request: Promise<Response>): Promise<Response> {
  const startedAt = performance.now()
  const response = await request
  expect(performance.now() - startedAt).toBeLessThan(ANSWER_MS)
  return response
}

type Begun = Awaited<ReturnType<Api['start']>>
type Call = (api: Api, begun: Begun) => Promise<Response>

const calls: [string, Call][] = [
  ['start', (api) => api.post('/v1/verifications', { to: freshDestination() })],
  ['check by id', (api, { checks, code }) => api.post(checks, { code })],
  ['check by number', (api, { to, code }) => api.post('/v1/checks', { to, code })],
  ['get', (api, { id }) => api.get(`/v1/verifications/${id}`)],
  ['cancel', (api, { id }) => api.send('DELETE', `/v1/verifications/${id}`)],
  ['resend', (api, { id }) => api.send('POST', `/v1/verifications/${id}/sends`)],
]

describe.each<[string, () => unknown]>([
  ['gone', () => server.kill()],
  ['frozen', () => server.freeze()],
])('with Redis %s', (_, breakIt) => {
  it.each(calls)('%s is 503 in time and says when to try again', async (_name, call) => {
    const api = fresh()
    const begun = await api.start()
    await breakIt()
    const response = await inTime(call(api, begun))
    expect(response.headers.get('Retry-After')).toBe('1')
    expect(response.headers.get('X-Content-Type-Options')).toBe('nosniff')
    expect(await expectProblem(response, 503, 'service_unavailable')).not.toHaveProperty('stack')
    expect(api.enqueued).toHaveLength(1)
  })

  it('the guide’s routes say it in the guide’s words, and browsers get a page', async () => {
    const api = fresh()
    await breakIt()
    const number = freshDestination()
    const request = await inTime(api.postForm('/request-auth', { number }))
    expect([request.status, await request.text()]).toEqual([500, 'Error sending code via SMS'])
    const check = await inTime(api.postForm('/validate-auth', { number, auth_code: '012345' }))
    expect([check.status, await check.text()]).toEqual([503, 'Service Unavailable'])
    expect(check.headers.get('Retry-After')).toBe('1')
    const page = await inTime(api.postForm('/request-auth', { number }, HTML))
    expect(page.status).toBe(503)
    expect(await page.text()).toContain('role="alert">The service cannot answer right now.')
    expect(api.enqueued).toEqual([])
  })

  it('the probe of readiness says so, that of life does not, and the page is still there', async () => {
    const api = fresh()
    await breakIt()
    const probe = await inTime(api.get('/readyz'))
    expect(probe.status).toBe(503)
    expect(await probe.json()).toStrictEqual({ status: 'not ready', problems: ['redis_unreachable'] })
    expect((await inTime(api.get('/livez'))).status).toBe(200)
    expect((await inTime(api.get('/', HTML))).status).toBe(200)
  })

  it('bad requests are still told what is wrong with them', async () => {
    const api = fresh()
    await breakIt()
    await expectProblem(await inTime(api.post('/v1/verifications', { to: '911' })), 422, 'short_number')
    await expectProblem(await inTime(api.post('/v1/verifications', {})), 400, 'invalid_request')
  })

  it('a line says so, without a stack, a code or a number', async () => {
    const api = fresh()
    const { checks, code } = await api.start()
    await breakIt()
    await api.post(checks, { code })
    expect(api.lines.slice(1)).toMatchObject([
      {
        level: 'error',
        msg: 'Redis did not answer',
        fault: expect.any(String),
        request_id: expect.any(String),
      },
      { level: 'warn', msg: 'request', status: 503, refusal: 'service_unavailable' },
    ])
    expect(Object.keys(api.lines[1] ?? {})).not.toContain('stack')
  })
})

it('a code asked for before Redis died is checked after it is back, in the same process', async () => {
  const api = fresh()
  const { checks, code } = await api.start()
  await server.kill()
  await expectProblem(await inTime(api.post(checks, { code })), 503, 'service_unavailable')
  await server.restart()
  await ready()
  expect(await jsonOf(await api.post(checks, { code }), 200)).toMatchObject({ result: 'approved' })
})

it('answers that come late from a frozen Redis are nobody else’s', async () => {
  const api = fresh()
  const [one, other] = [await api.start(), await api.start()]
  server.freeze()
  await expectProblem(await inTime(api.post(one.checks, { code: one.wrong })), 503, 'service_unavailable')
  server.thaw()
  await ready()
  const view = await jsonOf(await api.get(`/v1/verifications/${other.id}`), 200)
  expect(view).toMatchObject({ id: other.id, checks_left: 5 })
  expect(await jsonOf(await api.post(other.checks, { code: other.code }), 200)).toMatchObject({
    verification: other.id,
    result: 'approved',
  })
})

it('fifty callers at once all get their 503 in time from a frozen Redis', async () => {
  const api = fresh()
  server.freeze()
  const post = () => inTime(api.post('/v1/verifications', { to: freshDestination() }))
  const responses = await Promise.all(Array.from({ length: 50 }, post))
  expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 503))
})
