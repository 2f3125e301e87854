/** Addresses and methods: what does not exist is 404, what does takes only its own methods and names them. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { apiOn, expectProblem } from './api.ts'

const connection = useRedis()
const ID = '3f2a1b4c5d6e4f708a9b0c1d2e3f4a5b'
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']

describe.each([
  ['/v1/verifications', ['POST']],
  [`/v1/verifications/${ID}`, ['GET', 'DELETE', 'HEAD']],
  [`/v1/verifications/${ID}/events`, ['GET', 'HEAD']],
  [`/v1/verifications/${ID}/sends`, ['POST']],
  [`/v1/verifications/${ID}/checks`, ['POST']],
  ['/v1/checks', ['POST']],
  ['/livez', ['GET', 'HEAD']],
  ['/readyz', ['GET', 'HEAD']],
  ['/openapi.json', ['GET', 'HEAD']],
  ['/', ['GET', 'HEAD']],
  ['/style.css', ['GET', 'HEAD']],
  ['/challenge.js', ['GET', 'HEAD']],
  ['/request-auth', ['POST']],
  ['/validate-auth', ['POST']],
])('%s', (path, allowed) => {
  const refused = METHODS.filter((method) => !allowed.includes(method))

  it.each(refused)('does not take %s and says what it takes', async (method) => {
    const response = await apiOn(connection.redis).send(method, path)
    expect(response.status).toBe(405)
    expect(new Set(response.headers.get('Allow')?.split(', '))).toEqual(new Set(allowed))
    if (method !== 'HEAD') await expectProblem(response, 405, 'method_not_allowed')
  })

  it.each(allowed)('takes %s', async (method) => {
    const response = await apiOn(connection.redis).send(method, path)
    expect(response.status).not.toBe(405)
  })
})

it('a HEAD answers as GET without a body', async () => {
  const response = await apiOn(connection.redis).send('HEAD', '/livez')
  expect([response.status, await response.text()]).toEqual([200, ''])
})

it.each([
  '/nothing',
  '/v1',
  '/v1/',
  '/v1/nothing',
  '/v1/verifications/',
  `/v1/verifications/${ID}/`,
  `/v1/verifications/${ID}/nothing`,
  '/V1/checks',
  '/v2/checks',
  '/v1//checks',
  '/..%2fmain.ts',
  '/%00',
  '/openapi.json/',
])('%s is nothing: 404', async (path) => {
  for (const method of ['GET', 'POST']) {
    await expectProblem(await apiOn(connection.redis).send(method, path), 404, 'not_found')
  }
})

describe('switched off', () => {
  it.each(['/', '/style.css', '/challenge.js', '/request-auth', '/validate-auth'])(
    'PUBLIC_FORM: %s is nothing',
    async (path) => {
      const api = apiOn(connection.redis, { config: { publicForm: false, pythonRoutes: true } })
      for (const method of ['GET', 'POST'])
        await expectProblem(await api.send(method, path), 404, 'not_found')
    },
  )

  it('GUIDE_PYTHON_ROUTES: a code in an address is not taken', async () => {
    const api = apiOn(connection.redis)
    for (const path of [
      '/request-auth?number=12025550143',
      '/validate-auth?number=12025550143&auth_code=012345',
    ]) {
      await expectProblem(await api.get(path), 405, 'method_not_allowed')
    }
    expect(api.enqueued).toEqual([])
  })
})

describe('the probes', () => {
  it('say alive and ready', async () => {
    const api = apiOn(connection.redis)
    expect(await (await api.get('/livez')).json()).toStrictEqual({ status: 'alive' })
    expect(await (await api.get('/readyz')).json()).toStrictEqual({ status: 'ready' })
  })

  it('say what is missing with 503, and stay alive', async () => {
    const api = apiOn(connection.redis, { readiness: async () => 'redis_unreachable' })
    const ready = await api.get('/readyz')
    expect(ready.status).toBe(503)
    expect(await ready.json()).toStrictEqual({ status: 'not ready', problems: ['redis_unreachable'] })
    expect((await api.get('/livez')).status).toBe(200)
  })
})
