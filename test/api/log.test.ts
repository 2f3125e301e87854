/** The log: one line a request, from a closed set of fields, and after a whole run not one code or number in it. */
import { expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, wrongFor } from '#test/fixtures/store.ts'
import { apiOn, expectNoSecret, jsonOf, KEYS, type Line, WITH_KEYS } from './api.ts'

const connection = useRedis()
const FIELDS = new Set([
  ...['request_id', 'method', 'route', 'status', 'duration_ms', 'client_ip'],
  ...['application', 'verification', 'destination', 'refusal', 'result', 'level', 'msg'],
])

const short = ({ method, route, status, refusal, result }: Line) =>
  [method, route, status, refusal ?? result].filter(Boolean).join(' ')

/** Everything that can be asked, well and badly, with number and code in every place a caller may put them. */
async function wholeRun(api: ReturnType<typeof apiOn>) {
  const { to, id, code } = await api.start()
  const wrong = wrongFor(code)
  const base = `/v1/verifications/${id}`
  await api.post('/v1/verifications', { to })
  await api.post('/v1/verifications', { to: `${to} ext. ${code}` })
  await api.post('/v1/verifications', { to, [code]: to })
  await api.postText('/v1/verifications', `{"to":"${to}`, { 'Content-Type': 'application/json' })
  await api.postText('/v1/verifications', to, { 'Content-Type': `text/${code}` })
  await api.get(base)
  await api.send('POST', `${base}/sends`)
  await api.post(`${base}/checks`, { code: Number(code) })
  await api.post(`${base}/checks`, { code: wrong })
  await api.post(`${base}/checks`, { code }, { 'Idempotency-Key': code })
  await api.post('/v1/checks', { to, code })
  await api.send('DELETE', base)
  await api.get(`/v1/verifications/${code}`)
  await api.get(`/${to}/${code}?number=${to}&auth_code=${code}`, { 'User-Agent': code, Referer: to })
  await api.send('PUT', `/v1/checks?code=${code}`)
  await api.postForm('/request-auth', { number: to })
  await api.postForm('/validate-auth', { number: to, auth_code: wrong })
  await api.get(`/validate-auth?number=${to.slice(1)}&auth_code=${wrong}`)
  await api.get('/livez')
  return { to, code, wrong }
}

it('a whole run leaves one line a request, from the closed set of fields, without a code or a number', async () => {
  const api = apiOn(connection.redis, { config: { pythonRoutes: true } })
  const { to, code } = await wholeRun(api)
  expect(api.lines.map(short)).toEqual([
    'POST /v1/verifications 202',
    'POST /v1/verifications 429 resend_cooldown',
    'POST /v1/verifications 422 invalid_number',
    'POST /v1/verifications 400 invalid_request',
    'POST /v1/verifications 400 malformed_json',
    'POST /v1/verifications 415 unsupported_media_type',
    'GET /v1/verifications/:id 200',
    'POST /v1/verifications/:id/sends 429 resend_cooldown',
    'POST /v1/verifications/:id/checks 400 invalid_request',
    'POST /v1/verifications/:id/checks 200 wrong',
    'POST /v1/verifications/:id/checks 200 approved',
    'POST /v1/checks 200 already_used',
    'DELETE /v1/verifications/:id 409 verification_ended',
    'GET /v1/verifications/:id 404 unknown_verification',
    'GET /* 404 not_found',
    'PUT /v1/checks 405 method_not_allowed',
    'POST /request-auth 200',
    'POST /validate-auth 403 wrong',
    'GET /validate-auth 200 wrong',
    'GET /livez 200',
  ])
  for (const line of api.lines) {
    expect(Object.keys(line).filter((field) => !FIELDS.has(field))).toEqual([])
    expectNoSecret(JSON.stringify(line))
  }
  const written = api.lines.map((line) => JSON.stringify({ ...line, verification: '' })).join('\n')
  for (const secret of [to, to.slice(1), to.slice(2), code]) expect(written).not.toContain(secret)
})

it('a line names the request, the application and the verification, and a masked number', async () => {
  const api = apiOn(connection.redis, { config: WITH_KEYS })
  const to = freshDestination()
  const response = await api.post('/v1/verifications', { to }, { Authorization: `Bearer ${KEYS.shop}` })
  const { id } = await jsonOf(response, 202)
  expect(api.lines).toEqual([
    {
      level: 'info',
      msg: 'request',
      request_id: response.headers.get('X-Request-Id'),
      method: 'POST',
      route: '/v1/verifications',
      status: 202,
      duration_ms: expect.any(Number),
      client_ip: '',
      application: 'shop',
      verification: id,
      destination: `+*******${to.slice(-4)}`,
    },
  ])
})

it('probes are lines of debugging, answers of 500 and more are warnings', async () => {
  const api = apiOn(connection.redis, { readiness: async () => 'redis_unreachable' })
  for (const path of ['/livez', '/readyz', '/']) await api.get(path)
  expect(api.lines.map(({ level, route }) => `${level} ${route}`)).toEqual([
    'debug /livez',
    'warn /readyz',
    'info /',
  ])
})

it('a key that is refused is not written', async () => {
  const api = apiOn(connection.redis, { config: WITH_KEYS })
  await api.get('/v1/checks', { Authorization: 'Bearer marker' })
  expect(api.lines).toMatchObject([{ status: 401, refusal: 'unauthorized' }])
  expect(JSON.stringify(api.lines)).not.toContain('marker')
})
