/** The headers that every answer carries, whatever kind of answer it is, and what a fault says: nothing. */
import { describe, expect, it } from 'vitest'
import { retryAfter } from '#api/problem.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { type Api, apiOn, expectProblem, failingApi } from './api.ts'

const connection = useRedis()
const HTML = { Accept: 'text/html' }
const TYPE = { 'Content-Type': 'application/json' }

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

const broken = () => failingApi(new Error('secret detail of /srv/app.ts:1:1'))

const start = (headers: Record<string, string> = {}) => ({
  method: 'POST',
  body: JSON.stringify({ to: freshDestination() }),
  headers: { ...TYPE, ...headers },
})
const tooLarge = { method: 'POST', body: 'x', headers: { ...TYPE, 'Content-Length': '8193' } }

describe.each<[number, string, (api: Api) => Response | Promise<Response>]>([
  [200, 'the page', (api) => api.app.request('/', { headers: HTML })],
  [200, 'the style', (api) => api.app.request('/style.css')],
  [200, 'the script', (api) => api.app.request('/challenge.js')],
  [200, 'a probe', (api) => api.app.request('/livez')],
  [202, 'a start', (api) => api.app.request('/v1/verifications', start())],
  [400, 'a bad body', (api) => api.app.request('/v1/checks', { method: 'POST', body: '{', headers: TYPE })],
  [404, 'nothing', (api) => api.app.request('/nothing')],
  [405, 'another method', (api) => api.app.request('/v1/checks')],
  [413, 'a body too large', (api) => api.app.request('/v1/checks', tooLarge)],
  [415, 'another content type', (api) => api.app.request('/v1/checks', { method: 'POST', body: 'x' })],
  [500, 'a fault', () => broken().request('/v1/verifications', start())],
])('%i for %s', (status, _, request) => {
  it('carries every security header and the id of the request', async () => {
    const response = await request(apiOn(connection.redis))
    expect(response.status).toBe(status)
    expect(Object.fromEntries(response.headers)).toMatchObject(HEADERS)
    expect(response.headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(response.headers.get('Strict-Transport-Security')).toBeNull()
    expect(response.headers.get('X-Powered-By')).toBeNull()
  })
})

it('in production browsers are told to come by TLS only', async () => {
  const api = apiOn(connection.redis, { config: { production: true } })
  expect((await api.get('/livez')).headers.get('Strict-Transport-Security')).toBe(
    'max-age=31536000; includeSubDomains',
  )
})

describe('a fault of our own', () => {
  it('is 500 without a stack, a message or a path', async () => {
    const response = await broken().request('/v1/verifications', start())
    const body = await expectProblem(response, 500, 'internal_fault')
    expect(JSON.stringify(body)).not.toMatch(/secret|srv|\.ts|Error/)
  })

  it('is the guide’s own text on its routes, and a page for a browser', async () => {
    const form = { method: 'POST', body: JSON.stringify({ number: freshDestination() }) }
    const plain = await broken().request('/request-auth', { ...form, headers: TYPE })
    expect([plain.status, await plain.text()]).toEqual([500, 'Error sending code via SMS'])
    const page = await broken().request('/request-auth', { ...form, headers: { ...TYPE, ...HTML } })
    expect(page.status).toBe(500)
    expect(await page.text()).toContain('The service cannot answer right now')
  })
})

it.each([
  [0, '1'],
  [1, '1'],
  [999, '1'],
  [1_000, '1'],
  [1_001, '2'],
  [29_001, '30'],
])('a wait of %i ms is Retry-After %s: who waits it is never early', (ms, expected) => {
  expect(retryAfter(ms)).toBe(expected)
})
