/** What other sites' pages can do with a visitor's browser: no form of theirs is taken, no script of theirs gets leave. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { apiOn, type Headers, KEYS, WITH_KEYS } from './api.ts'

const connection = useRedis()
const HOST = 'verify.example.test'
const told = async (response: Response) => `${response.status} ${await response.text()}`
const python = () => apiOn(connection.redis, { config: { pythonRoutes: true } })

const FROM_OUR_PAGE: [string, Headers][] = [
  ['a program, which names no origin', {}],
  ['a program over HTTP/1.0, which names no host either', { Host: '' }],
  ['our page', { 'Sec-Fetch-Site': 'same-origin', Origin: `https://${HOST}` }],
  [
    'our page behind a proxy that sends another Host',
    { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://x.test' },
  ],
  ['a bookmark', { 'Sec-Fetch-Site': 'none' }],
  ['our page in an old browser', { Origin: `https://${HOST}` }],
  ['our page without TLS', { Origin: `http://${HOST}` }],
  ['our page on a port', { Origin: `http://${HOST}:3000`, Host: `${HOST}:3000` }],
  ['a Host in capitals', { Origin: `https://${HOST}`, Host: HOST.toUpperCase() }],
]

const FROM_ELSEWHERE: [string, Headers][] = [
  ['another site', { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.test' }],
  ['another site that names no origin', { 'Sec-Fetch-Site': 'cross-site' }],
  ['another site with our origin', { 'Sec-Fetch-Site': 'cross-site', Origin: `https://${HOST}` }],
  ['a neighbour under one domain', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://blog.example.test' }],
  ['a word no browser knows', { 'Sec-Fetch-Site': 'marker' }],
  ['another site in an old browser', { Origin: 'https://evil.test' }],
  ['a sandboxed frame', { Origin: 'null' }],
  ['a name that begins as ours does', { Origin: `https://${HOST}.evil.test` }],
  ['a name that ends as ours does', { Origin: `https://evil${HOST}` }],
  ['our host as a user name', { Origin: `https://${HOST}@evil.test` }],
  ['another port', { Origin: `https://${HOST}:8443` }],
  ['nonsense', { Origin: 'marker' }],
  ['nothing', { Origin: '' }],
]

describe('a form', () => {
  it.each(FROM_OUR_PAGE)('of %s is taken', async (_, headers) => {
    const api = python()
    const number = freshDestination()
    const all = { Host: HOST, ...headers }
    expect(await told(await api.postForm('/request-auth', { number }, all))).toBe('200 Your code was sent')
    expect(await told(await api.postForm('/validate-auth', { number }, all))).toBe('403 Forbidden')
    expect(api.lines.map(({ refusal }) => refusal)).not.toContain('cross_site')
  })

  it.each(FROM_ELSEWHERE)('of %s is refused, and nothing is sent or counted', async (_, headers) => {
    const api = python()
    const number = freshDestination()
    const all = { Host: HOST, ...headers }
    const query = `?number=${number.slice(1)}&auth_code=012345`
    const answers = [
      await api.postForm('/request-auth', { number }, all),
      await api.post('/request-auth', { number }, all),
      await api.send('POST', `/request-auth${query}`, all),
      await api.get(`/request-auth${query}`, all),
      await api.postForm('/validate-auth', { number, auth_code: '012345' }, all),
      await api.get(`/validate-auth${query}`, all),
    ]
    for (const answer of answers) expect(await told(answer)).toBe('403 Forbidden')
    expect(api.enqueued).toEqual([])
    expect(api.lines.map(({ refusal, destination }) => [refusal, destination])).toEqual(
      Array(6).fill(['cross_site', undefined]),
    )
    expect(JSON.stringify(api.lines)).not.toMatch(/marker|evil/)
  })

  it('of another site brings a person the page, which says so and holds nothing that was sent', async () => {
    const headers = { Accept: 'text/html', 'Sec-Fetch-Site': 'cross-site' }
    const response = await python().postForm('/request-auth', { number: 'marker' }, headers)
    expect(response.status).toBe(403)
    const page = await response.text()
    expect(page).toContain('This was sent by another site.')
    expect(page).not.toContain('marker')
  })
})

it('a link from another site to the page is followed', async () => {
  const headers = { 'Sec-Fetch-Site': 'cross-site', Accept: 'text/html' }
  expect((await python().get('/', headers)).status).toBe(200)
})

/** CORS is leave that an answer gives; there is none in any, so browsers keep other sites from what is not theirs. */
describe('a script of another site', () => {
  const PATHS = [
    '/v1/verifications',
    '/v1/verifications/3f2a1b4c5d6e4f708a9b0c1d2e3f4a5b',
    '/v1/verifications/3f2a1b4c5d6e4f708a9b0c1d2e3f4a5b/sends',
    '/v1/verifications/3f2a1b4c5d6e4f708a9b0c1d2e3f4a5b/checks',
    '/v1/checks',
    '/request-auth',
    '/validate-auth',
    '/',
    '/livez',
    '/readyz',
    '/openapi.json',
    '/nothing',
  ]
  const asks = {
    Origin: 'https://evil.test',
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'authorization,content-type',
    'Access-Control-Request-Private-Network': 'true',
  }
  const leave = (response: Response) =>
    [...response.headers.keys()].filter(
      (name) => name.startsWith('access-control') || name === 'timing-allow-origin',
    )

  it.each(PATHS)('asks before it calls %s, and gets no leave', async (path) => {
    for (const config of [{}, WITH_KEYS]) {
      const response = await apiOn(connection.redis, { config }).send('OPTIONS', path, asks)
      expect([401, 403, 404, 405]).toContain(response.status)
      expect(leave(response)).toEqual([])
    }
  })

  it.each(PATHS)('that calls %s without asking may not read the answer', async (path) => {
    const api = apiOn(connection.redis, { config: WITH_KEYS })
    for (const method of ['GET', 'POST']) {
      const response = await api.send(method, path, {
        Origin: 'https://evil.test',
        Authorization: `Bearer ${KEYS.shop}`,
      })
      expect(leave(response)).toEqual([])
      expect(response.headers.get('Cross-Origin-Resource-Policy')).toBe('same-origin')
    }
  })

  it('gets nothing sent by a body that needs no leave: plain text, a form, a file', async () => {
    const api = apiOn(connection.redis)
    const body = JSON.stringify({ to: freshDestination() })
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      undefined,
    ]) {
      const response = await api.postText('/v1/verifications', body, type ? { 'Content-Type': type } : {})
      expect(response.status).toBe(415)
    }
    expect(api.enqueued).toEqual([])
  })
})

it('no answer sets a cookie: there is nothing a browser would send along for another site', async () => {
  const api = python()
  for (const path of ['/', '/style.css', '/livez', '/openapi.json', '/nothing'])
    expect((await api.get(path)).headers.getSetCookie()).toEqual([])
  expect(
    (await api.postForm('/request-auth', { number: freshDestination() })).headers.getSetCookie(),
  ).toEqual([])
})
