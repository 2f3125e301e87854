/** Real answers of every operation against the OpenAPI document: status, content type, headers and body. */
import { describe, expect, it } from 'vitest'
import { StoreFault } from '#store/script.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import type { Outcome } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import { type Api, apiOn, FORM_APPLICATION, failingApi, jsonOf, WITH_KEYS } from './api.ts'
import { INBOUND_PATH, signedForm } from './callbacks.ts'
import { complaintsAbout, operations } from './document.ts'

const connection = useRedis()
const TYPE = { 'Content-Type': 'application/json' }
const HTML = { Accept: 'text/html' }
const START = '/v1/verifications'
const DESTINATIONS = '/v1/destinations'

const away = () => failingApi(new StoreFault('away'))
const broken = () => failingApi(new Error('broken'))
const json = (body: unknown, headers = {}) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { ...TYPE, ...headers },
})
const api = (policy: Partial<Policy> = {}) =>
  apiOn(connection.redis, { policy, config: { pythonRoutes: true } })
/** More waits than can leave in time. */
async function crowded() {
  const one = apiOn(connection.redis, {
    policy: { codeTtlMs: 61_000, sendReserveMs: 60_000, resendWaitsMs: [0] },
    senders: [{ number: '+12025550199', kind: '10dlc', perSecond: 0.5 }],
  })
  return { ...one, ...(await one.start()) }
}
const guideNumber = () => ({ number: freshDestination() })

async function started(policy: Partial<Policy> = {}) {
  const one = api(policy)
  return { ...one, ...(await one.start()) }
}

/** One whose send was tried three times: busy, unknown, accepted. */
async function attempted() {
  const one = await started({ receiptWaitMs: 0 })
  const send = one.enqueued[0]
  if (!send) throw new Error('nothing was enqueued')
  const outcomes: Outcome[] = [
    { kind: 'busy', reason: 'key_unknown' },
    { kind: 'unknown', reason: 'timeout', provider: 'signalwire-relay' },
    { kind: 'accepted', messageId: 'm-1', provider: 'signalwire-rest' },
  ]
  for (const [index, outcome] of outcomes.entries()) {
    const token = `t${index}`
    await one.store.deliveries.claim(send, token)
    await one.store.deliveries.record(send, { token, outcome, waitMs: 0, from: '+12025550199' })
  }
  return one
}

async function ended() {
  const one = await started()
  await one.send('DELETE', `${START}/${one.id}`)
  return one
}

async function guided(one: Api = api()) {
  const { number } = guideNumber()
  await one.postForm('/request-auth', { number })
  return {
    ...one,
    number,
    auth_code: await one.codeOf(one.enqueued[0]?.verification ?? '', FORM_APPLICATION),
  }
}

type Row = [operation: string, status: number, type: string, ask: () => Response | Promise<Response>]
const PROBLEM = 'application/problem+json'
const JSON_BODY = 'application/json'

const rows: Row[] = [
  ['post /v1/verifications', 202, JSON_BODY, () => api().post(START, { to: freshDestination() })],
  ['post /v1/verifications', 400, PROBLEM, () => api().post(START, { to: 1, x: 1 })],
  [
    'post /v1/verifications',
    401,
    PROBLEM,
    () => apiOn(connection.redis, { config: WITH_KEYS }).post(START, {}),
  ],
  ['post /v1/verifications', 413, PROBLEM, () => api().post(START, {}, { 'Content-Length': '9999' })],
  ['post /v1/verifications', 415, PROBLEM, () => api().postText(START, '', { 'Content-Type': 'text/plain' })],
  ['post /v1/verifications', 422, PROBLEM, () => api().post(START, { to: '911' })],
  [
    'post /v1/verifications',
    428,
    PROBLEM,
    () => api().post(START, { to: freshDestination(), challenge: { token: 'x', solution: '1' } }),
  ],
  ['post /v1/verifications', 429, PROBLEM, async () => started().then(({ post, to }) => post(START, { to }))],
  ['post /v1/verifications', 500, PROBLEM, () => broken().request(START, json({ to: freshDestination() }))],
  [
    'post /v1/verifications',
    503,
    PROBLEM,
    async () => (await crowded()).post(START, { to: freshDestination() }),
  ],
  ['post /v1/verifications', 503, PROBLEM, () => away().request(START, json({ to: freshDestination() }))],
  [
    'get /v1/verifications/{id}',
    200,
    JSON_BODY,
    async () => started().then(({ get, id }) => get(`${START}/${id}`)),
  ],
  [
    'get /v1/verifications/{id}',
    200,
    JSON_BODY,
    async () => attempted().then(({ get, id }) => get(`${START}/${id}`)),
  ],
  ['get /v1/verifications/{id}', 404, PROBLEM, () => api().get(`${START}/x`)],
  [
    'delete /v1/verifications/{id}',
    204,
    '',
    async () => started().then(({ send, id }) => send('DELETE', `${START}/${id}`)),
  ],
  ['delete /v1/verifications/{id}', 404, PROBLEM, () => api().send('DELETE', `${START}/x`)],
  [
    'delete /v1/verifications/{id}',
    409,
    PROBLEM,
    async () => started({ codeTtlMs: 0 }).then(({ send, id }) => send('DELETE', `${START}/${id}`)),
  ],
  [
    'post /v1/verifications/{id}/sends',
    202,
    JSON_BODY,
    async () => started({ resendWaitsMs: [0] }).then(({ send, id }) => send('POST', `${START}/${id}/sends`)),
  ],
  ['post /v1/verifications/{id}/sends', 404, PROBLEM, () => api().send('POST', `${START}/x/sends`)],
  [
    'post /v1/verifications/{id}/sends',
    409,
    PROBLEM,
    async () =>
      started({ sendReserveMs: 300_000, resendWaitsMs: [0] }).then(({ send, id }) =>
        send('POST', `${START}/${id}/sends`),
      ),
  ],
  [
    'post /v1/verifications/{id}/sends',
    429,
    PROBLEM,
    async () => started().then(({ send, id }) => send('POST', `${START}/${id}/sends`)),
  ],
  [
    'post /v1/verifications/{id}/checks',
    200,
    JSON_BODY,
    async () => started().then(({ post, checks, code }) => post(checks, { code })),
  ],
  ['post /v1/verifications/{id}/checks', 400, PROBLEM, () => api().post(`${START}/x/checks`, {})],
  [
    'post /v1/verifications/{id}/checks',
    404,
    PROBLEM,
    () => api().post(`${START}/x/checks`, { code: '012345' }),
  ],
  [
    'post /v1/checks',
    200,
    JSON_BODY,
    async () => started().then(({ post, to, wrong }) => post('/v1/checks', { to, code: wrong })),
  ],
  ['post /v1/checks', 400, PROBLEM, () => api().post('/v1/checks', { to: '+12025550143', code: 'x' })],
  [
    'post /v1/checks',
    404,
    PROBLEM,
    () => api().post('/v1/checks', { to: freshDestination(), code: '012345' }),
  ],
  ['post /v1/checks', 422, PROBLEM, () => api().post('/v1/checks', { to: '911', code: '012345' })],
  [
    'post /v1/checks',
    429,
    PROBLEM,
    async () => {
      const { post, to, wrong } = await started({
        wrongCheckLimits: [{ name: 'test', max: 1, windowMs: 60_000 }],
      })
      await post('/v1/checks', { to, code: wrong })
      return post('/v1/checks', { to, code: wrong })
    },
  ],
  [
    'post /v1/checks',
    403,
    PROBLEM,
    async () => {
      const { post, to, wrong } = await started({ wrongInARowMax: 1 })
      await post('/v1/checks', { to, code: wrong })
      return post('/v1/checks', { to, code: wrong })
    },
  ],
  [
    'post /v1/destinations/rebind',
    204,
    '',
    () => api().post(`${DESTINATIONS}/rebind`, { to: freshDestination() }),
  ],
  ['post /v1/destinations/rebind', 400, PROBLEM, () => api().post(`${DESTINATIONS}/rebind`, {})],
  ['post /v1/destinations/rebind', 422, PROBLEM, () => api().post(`${DESTINATIONS}/rebind`, { to: 'x' })],
  [
    'post /v1/destinations/erase',
    204,
    '',
    () => api().post(`${DESTINATIONS}/erase`, { to: freshDestination() }),
  ],
  ['post /v1/destinations/erase', 400, PROBLEM, () => api().post(`${DESTINATIONS}/erase`, {})],
  ['post /v1/destinations/erase', 422, PROBLEM, () => api().post(`${DESTINATIONS}/erase`, { to: 'x' })],
  [
    'post /v1/destinations/erase',
    503,
    PROBLEM,
    () => away().request(`${DESTINATIONS}/erase`, json({ to: freshDestination() })),
  ],
  ['get /', 200, 'text/html', () => api().get('/')],
  ['get /style.css', 200, 'text/css', () => api().get('/style.css')],
  ['get /challenge.js', 200, 'text/javascript', () => api().get('/challenge.js')],
  ['post /request-auth', 200, 'text/plain', () => api().postForm('/request-auth', guideNumber())],
  ['post /request-auth', 200, 'text/html', () => api().postForm('/request-auth', guideNumber(), HTML)],
  ['post /request-auth', 400, 'text/plain', () => api().postForm('/request-auth', { number: '911' })],
  ['post /request-auth', 400, PROBLEM, () => api().postText('/request-auth', '{', TYPE)],
  [
    'post /request-auth',
    429,
    'text/plain',
    async () => guided().then(({ post, number }) => post('/request-auth', { number })),
  ],
  [
    'post /request-auth',
    429,
    'text/html',
    () =>
      apiOn(connection.redis, { config: { formChallenge: 'always' } }).postForm(
        '/request-auth',
        guideNumber(),
        HTML,
      ),
  ],
  ['post /request-auth', 500, 'text/plain', () => away().request('/request-auth', json(guideNumber()))],
  [
    'post /request-auth',
    500,
    'text/plain',
    async () => (await crowded()).postForm('/request-auth', guideNumber()),
  ],
  [
    'post /request-auth',
    503,
    'text/html',
    async () => (await crowded()).postForm('/request-auth', guideNumber(), HTML),
  ],
  ['post /request-auth', 503, 'text/html', () => away().request('/request-auth', json(guideNumber(), HTML))],
  [
    'post /validate-auth',
    200,
    'text/plain',
    async () => guided().then(({ post, number, auth_code }) => post('/validate-auth', { number, auth_code })),
  ],
  ['post /validate-auth', 400, PROBLEM, () => api().postText('/validate-auth', '{', TYPE)],
  ['post /validate-auth', 403, 'text/plain', () => api().post('/validate-auth', {})],
  [
    'post /validate-auth',
    503,
    'text/plain',
    () => away().request('/validate-auth', json({ ...guideNumber(), auth_code: '012345' })),
  ],
  ['get /request-auth', 200, 'text/plain', () => api().get('/request-auth?number=12025550143')],
  ['get /request-auth', 400, 'text/plain', () => api().get('/request-auth')],
  ['get /validate-auth', 200, 'text/plain', () => api().get('/validate-auth?number=1&auth_code=012345')],
  [
    'post /callbacks/signalwire',
    204,
    '',
    () => {
      const { path, body, headers } = signedForm('', { MessageSid: 'm', MessageStatus: 'sent' })
      return api().postText(path, body, headers)
    },
  ],
  ['post /callbacks/signalwire', 403, PROBLEM, () => api().post('/callbacks/signalwire', {})],
  [
    'post /callbacks/signalwire/inbound',
    200,
    'text/xml',
    () => {
      const fields = { MessageSid: 'm', From: '+12025550123', To: '+12025550199', Body: 'Thanks' }
      const { path, body, headers } = signedForm('', fields, INBOUND_PATH)
      return api().postText(path, body, headers)
    },
  ],
  ['post /callbacks/signalwire/inbound', 403, PROBLEM, () => api().post('/callbacks/signalwire/inbound', {})],
  [
    'get /v1/verifications/{id}/events',
    200,
    'text/event-stream',
    () => ended().then(({ get, id }) => get(`${START}/${id}/events`)),
  ],
  [
    'get /v1/verifications/{id}/events',
    204,
    '',
    async () => {
      const { get, id } = await ended()
      const text = await (await get(`${START}/${id}/events`)).text()
      const lastId = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? ''
      return get(`${START}/${id}/events`, { 'Last-Event-ID': lastId })
    },
  ],
  ['get /v1/verifications/{id}/events', 404, PROBLEM, () => api().get(`${START}/x/events`)],
  [
    'get /v1/verifications/{id}/events',
    429,
    PROBLEM,
    async () => {
      const { get, id, streams } = await started()
      streams.stop()
      return get(`${START}/${id}/events`)
    },
  ],
  ['get /livez', 200, JSON_BODY, () => api().get('/livez')],
  ['get /readyz', 200, JSON_BODY, () => api().get('/readyz')],
  ['get /readyz', 503, JSON_BODY, () => away().request('/readyz')],
  ['get /openapi.json', 200, JSON_BODY, () => api().get('/openapi.json')],
]

describe('an answer is as the document says', () => {
  it.each(rows)('%s %i %s', async (operation, status, type, ask) => {
    const response = await ask()
    expect(response.status).toBe(status)
    const [method = '', path = ''] = operation.split(' ')
    const answered = (response.headers.get('Content-Type') ?? '').replace(/;.*/, '')
    expect(answered).toBe(type)
    const body = await response.text()
    const { headers } = response
    expect(complaintsAbout({ path, method, status, type, body, headers })).toEqual([])
  })

  it('every operation is tried', () => {
    const tried = new Set(rows.map(([operation]) => operation))
    expect(
      operations()
        .map(({ method, path }) => `${method} ${path}`)
        .filter((name) => !tried.has(name)),
    ).toEqual([])
  })

  it('an answer with one key more or one less would be seen', async () => {
    const answer = await jsonOf(await api().post(START, { to: freshDestination() }), 202)
    const { checks_left: _, ...less } = answer
    const about = (body: unknown) =>
      complaintsAbout({
        path: START,
        method: 'post',
        status: 202,
        type: JSON_BODY,
        body: JSON.stringify(body),
        headers: new Headers({ Location: '/' }),
      })
    expect(about(answer)).toEqual([])
    expect(about({ ...answer, code: '012345' })).not.toEqual([])
    expect(about(less)).not.toEqual([])
  })
})
