/** What a key may do, route by route, and that another application's verification is 404 on every one of them. */
import { describe, expect, it } from 'vitest'
import { createKeyRing } from '#api/key-ring.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { type ApiKey, SCOPES, type Scope } from '#verification/api-key.ts'
import type { Application } from '#verification/verification.ts'
import { type Api, apiKey, apiOn, expectProblem, type Headers, jsonOf, KEYS } from './api.ts'

const connection = useRedis()
const SHOP = 'shop' as Application
const as = (key: string): Headers => ({ Authorization: `Bearer ${key}` })

/** One key for each scope, all of one application; and one of another that may do everything. */
const keyFor = (scope: Scope) => `${scope}-key-0123456789abcdef0123456789`
const ALL = 'shop-key-of-everything-0123456789abcdef'
const apiKeys: ApiKey[] = [
  ...SCOPES.map((scope) => apiKey('shop', keyFor(scope), [scope])),
  apiKey('shop', ALL, SCOPES),
  apiKey('bank', KEYS.bank, SCOPES),
]
const api = () => apiOn(connection.redis, { config: { apiKeys }, policy: { resendWaitsMs: [0, 0] } })

type Started = Awaited<ReturnType<Api['start']>>
type Call = (api: Api, started: Started, headers: Headers) => Promise<Response>

/** Every route of /v1: the scope it needs, and a call of it that its holder gets a 2xx for. */
const ROUTES: Record<string, readonly [Scope, Call]> = {
  'POST /v1/verifications': [
    'send',
    ({ post }, _, headers) => post('/v1/verifications', { to: freshDestination() }, headers),
  ],
  'GET /v1/verifications/:id': [
    'read',
    ({ get }, { id }, headers) => get(`/v1/verifications/${id}`, headers),
  ],
  'GET /v1/verifications/:id/events': [
    'read',
    async ({ app, streams }, { id }, headers) => {
      const response = await app.request(`/v1/verifications/${id}/events`, { headers })
      streams.stop()
      return response
    },
  ],
  'DELETE /v1/verifications/:id': [
    'send',
    ({ send }, { id }, headers) => send('DELETE', `/v1/verifications/${id}`, headers),
  ],
  'POST /v1/verifications/:id/sends': [
    'send',
    ({ send }, { id }, headers) => send('POST', `/v1/verifications/${id}/sends`, headers),
  ],
  'POST /v1/verifications/:id/checks': [
    'check',
    ({ post }, { checks, code }, headers) => post(checks, { code }, headers),
  ],
  'POST /v1/checks': [
    'check',
    ({ post }, { to, code }, headers) => post('/v1/checks', { to, code }, headers),
  ],
  'POST /v1/destinations/rebind': [
    'admin',
    ({ post }, { to }, headers) => post('/v1/destinations/rebind', { to }, headers),
  ],
  'POST /v1/destinations/erase': [
    'admin',
    ({ post }, { to }, headers) => post('/v1/destinations/erase', { to }, headers),
  ],
}

const rows = Object.entries(ROUTES).map(([route, [scope, call]]) => [route, scope, call] as const)

it('the table names every route of /v1', () => {
  const routes = apiOn(connection.redis).app.routes.filter(
    ({ method, path }) => method !== 'ALL' && path.startsWith('/v1/'),
  )
  const named = new Set(routes.map(({ method, path }) => `${method} ${path}`))
  expect([...named].sort()).toEqual(Object.keys(ROUTES).sort())
})

describe.each(rows)('%s', (_, needed, call) => {
  it(`is answered with the scope ${needed} alone`, async () => {
    const one = api()
    const response = await call(one, await one.start(as(ALL), SHOP), as(keyFor(needed)))
    expect(response.status).toBeGreaterThanOrEqual(200)
    expect(response.status).toBeLessThan(300)
  })

  it.each(SCOPES.filter((scope) => scope !== needed))('is 403 with the scope %s alone', async (scope) => {
    const one = api()
    const started = await one.start(as(ALL), SHOP)
    const response = await call(one, started, as(keyFor(scope)))
    expect(response.headers.get('WWW-Authenticate')).toBe(
      `Bearer error="insufficient_scope", scope="${needed}"`,
    )
    expect(await expectProblem(response, 403, 'insufficient_scope')).toMatchObject({ scope: needed })
    expect(one.enqueued).toHaveLength(1)
    const view = await jsonOf(await one.get(`/v1/verifications/${started.id}`, as(ALL)), 200)
    expect(view).toMatchObject({ status: 'pending', sends_left: 2, checks_left: 5 })
  })

  it('is 403 before its body is looked at, and whatever id it names', async () => {
    const other = SCOPES.find((scope) => scope !== needed) ?? 'admin'
    const nowhere = {
      to: '911',
      id: 'x',
      checks: '/v1/verifications/x/checks',
      code: '',
    } as unknown as Started
    await expectProblem(await call(api(), nowhere, as(keyFor(other))), 403, 'insufficient_scope')
  })

  it('is 404 for another application’s verification, or its own new one, and leaves the first alone', async () => {
    const one = api()
    const started = await one.start(as(ALL), SHOP)
    const before = await jsonOf(await one.get(`/v1/verifications/${started.id}`, as(ALL)), 200)
    const response = await call(one, started, as(KEYS.bank))
    if (response.status === 202) {
      expect(await jsonOf(response, 202)).not.toMatchObject({ id: started.id })
      expect(one.enqueued.map(({ application }) => application)).toEqual(['shop', 'bank'])
    } else if (needed !== 'admin') {
      const never = await call(one, { ...started, id: '0'.repeat(32), to: freshDestination() }, as(KEYS.bank))
      const refused = await expectProblem(response, 404, 'unknown_verification')
      expect(await expectProblem(never, 404, 'unknown_verification'), 'as one that never was').toEqual(
        refused,
      )
    }
    // Also after a bank has erased the number: only what the bank knew of it is gone.
    expect(await jsonOf(await one.get(`/v1/verifications/${started.id}`, as(ALL)), 200)).toEqual(before)
  })

  it('under the first application’s Idempotency-Key is 404, too', async () => {
    const one = api()
    const started = await one.start(as(ALL), SHOP)
    const key = { 'Idempotency-Key': 'order-1' }
    await call(one, started, { ...as(ALL), ...key })
    const response = await call(one, started, { ...as(KEYS.bank), ...key })
    // A number may be asked about by everybody: each application has its own view of it.
    if (needed === 'admin') return expect(response.status).toBe(204)
    if (response.status !== 202) return void (await expectProblem(response, 404, 'unknown_verification'))
    expect(one.enqueued.at(-1)).toMatchObject({ application: 'bank' })
  })
})

it('addresses and methods that are not there need no scope', async () => {
  await expectProblem(await api().get('/v1/nothing', as(keyFor('check'))), 404, 'not_found')
  await expectProblem(await api().get('/v1/checks', as(keyFor('read'))), 405, 'method_not_allowed')
})

it('where there are no keys at all everything may be done', async () => {
  const open = apiOn(connection.redis)
  const started = await open.start()
  for (const [, , call] of rows.filter(([route]) => !route.startsWith('DELETE')))
    expect((await call(open, started, {})).status).not.toBe(403)
})

it('a request leaves the id of its key in the log, when it is one of Redis, and never the key', async () => {
  const ring = createKeyRing({ production: true })
  ring.setConfigured(apiKeys)
  ring.setStored({ keys: [{ ...apiKey('shop', KEYS.shop), id: 'bcdfghjkmn' }], everMade: true })
  const one = apiOn(connection.redis, { ring })
  await one.get('/v1/nothing', as(KEYS.shop))
  await one.get('/v1/nothing', as(ALL))
  await one.get('/v1/nothing', as('stranger'))
  expect(one.lines.map(({ status, application, api_key }) => [status, application, api_key])).toEqual([
    [404, 'shop', 'bcdfghjkmn'],
    [404, 'shop', undefined],
    [401, undefined, undefined],
  ])
})
