/** The rules about guessing over HTTP: whose address is counted, what a refusal says, and what the log says. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import type { Rule } from '#verification/gate.ts'
import { type Api, apiOn, expectProblem, FORM_APPLICATION, jsonOf } from './api.ts'
import { listen } from './port.ts'

const connection = useRedis()

function guessRule(scope: Rule['scope'], max: number): Rule {
  return { name: `${scope}_wrong`, scope, counts: 'wrong_checks', windowMs: 3_600_000, max, mode: 'block' }
}

const withRule = (scope: Rule['scope'], max: number) =>
  apiOn(connection.redis, { policy: { guessRules: [guessRule(scope, max)] } })

type Begun = Awaited<ReturnType<Api['start']>>

describe.each<[string, (api: Api, begun: Begun, body: object) => Promise<Response>]>([
  ['by id', (api, { checks }, body) => api.post(checks, body)],
  ['by number', (api, { to }, body) => api.post('/v1/checks', { to, ...body })],
])('checks %s', (_, check) => {
  it('of many numbers from one client_ip are refused with 429, the rule and a wait; from another they go on', async () => {
    const api = withRule('ip', 1)
    const [one, other] = [await api.start(), await api.start()]
    await jsonOf(await check(api, one, { code: one.wrong, client_ip: '203.0.113.7' }), 200)
    const response = await check(api, other, { code: other.code, client_ip: '203.0.113.7' })
    expect(await expectProblem(response, 429, 'guess_limit')).toMatchObject({ limit: 'ip_wrong' })
    expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(3_590)
    expect(api.lines.at(-1)).toMatchObject({ refusal: 'guess_limit', limit: 'ip_wrong' })
    expect(
      await jsonOf(await check(api, other, { code: other.code, client_ip: '203.0.113.8' }), 200),
    ).toMatchObject({ result: 'approved' })
  })

  it('with a client_ip that is no address are 400 and not counted', async () => {
    const api = withRule('application', 1)
    const begun = await api.start()
    const response = await check(api, begun, { code: begun.wrong, client_ip: 'here' })
    expect(await expectProblem(response, 400, 'invalid_request')).toMatchObject({
      errors: [{ field: 'client_ip' }],
    })
    expect(await jsonOf(await check(api, begun, { code: begun.wrong }), 200)).toMatchObject({
      checks_left: 4,
    })
  })

  it('that use up four fifths of a shared limit are told once, in a line of their own', async () => {
    const api = withRule('application', 5)
    for (let tries = 1; tries <= 5; tries++) {
      const begun = await api.start()
      await jsonOf(await check(api, begun, { code: begun.wrong }), 200)
    }
    const warnings = api.lines.filter(({ level }) => level === 'warn')
    expect(warnings).toEqual([
      { level: 'warn', msg: 'a limit is nearly reached', limit: 'application_wrong' },
    ])
    expect(api.lines.filter(({ explain }) => explain === 'application_wrong=alarm')).toHaveLength(1)
  })
})

it('the form counts the address of whoever typed, and says how long to wait', async () => {
  const api = withRule('ip', 1)
  const { origin } = await listen(api.app)
  const number = freshDestination()
  const typed = { number, auth_code: '000000' }
  const postForm = (path: string, fields: Record<string, string>, headers = {}) =>
    fetch(`${origin}${path}`, { method: 'POST', body: new URLSearchParams(fields), headers })
  await postForm('/request-auth', { number })
  const id = api.enqueued[0]?.verification ?? ''
  const code = await api.codeOf(id, FORM_APPLICATION)
  await postForm('/validate-auth', { ...typed, auth_code: code === '000000' ? '000001' : '000000' })
  const refused = await postForm('/validate-auth', { ...typed, auth_code: code })
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(3_590)
  expect(api.lines.at(-1)).toMatchObject({ refusal: 'guess_limit', limit: 'ip_wrong' })
  const page = await postForm('/validate-auth', { ...typed, auth_code: code }, { Accept: 'text/html' })
  expect(await page.text()).toMatch(/Too many wrong codes were tried\. Try again in \d+ minutes\./)
})
