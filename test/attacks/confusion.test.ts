/**
 * What is no code and passes for one elsewhere: odd types, empty values, and fields by which a client lets itself in.
 */
import { describe, expect, it } from 'vitest'
import { apiOn, expectProblem, jsonOf } from '#test/api/api.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import type { Policy } from '#verification/policy.ts'
import {
  begin,
  codeOnForm,
  elsewhere,
  exhaust,
  SENDS_FREE,
  START,
  strangerAt,
  verdictOf,
} from './stranger.ts'

const connection = useRedis()

const victimsApi = (policy: Partial<Policy> = {}) =>
  apiOn(connection.redis, { policy: { ...SENDS_FREE, ...policy } })

describe('type confusion and empty match (CVE-2026-7458, CVE-2025-12374, CVE-2024-5150):', () => {
  it.each<[unknown]>([
    [true],
    [0],
    [null],
    [''],
    [' '],
    [[]],
    [{}],
    [{ $ne: null }],
    [{ length: 6 }],
    ['undefined'],
    ['null'],
    ['000000\0'],
    ['1e5   '],
    ['-12345'],
    ['......'],
  ])('%j is no code: 400, no try counted, nothing approved', async (typed) => {
    const api = victimsApi()
    const { id, to, checks } = await begin(api)
    for (const [path, body] of [
      [checks, {}],
      ['/v1/checks', { to }],
    ] as const)
      expect((await api.post(path, { ...body, code: typed })).status).toBe(400)
    expect((await api.post('/validate-auth', { number: to, auth_code: typed })).status).toBe(403)
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({
      status: 'pending',
      checks_left: 5,
    })
  })

  it.each(['the right code as a number', 'the right code in a list', 'the right code twice'])(
    '%s is no code',
    async (kind) => {
      const api = victimsApi()
      const to = elsewhere()
      await strangerAt(api).ask(to)
      const code = await codeOnForm(api, to)
      const typed = kind.endsWith('number') ? Number(code) : [code]
      const response = kind.endsWith('twice')
        ? await api.postForm(
            '/validate-auth',
            `number=${encodeURIComponent(to)}&auth_code=${code}&auth_code=${code}`,
          )
        : await api.post('/validate-auth', { number: to, auth_code: typed })
      expect(response.status).toBe(403)
    },
  )

  it('a verification that has ended, whose code is gone, matches no empty or missing one', async () => {
    const api = victimsApi()
    const { checks, to } = await begin(api)
    await exhaust(api, await begin(api, to))
    for (const code of ['', 'undefined', 'null']) expect((await api.post(checks, { code })).status).toBe(400)
    expect((await api.post(checks, {})).status).toBe(400)
  })
})

describe('a bypass that the client sets (CVE-2026-130070, CVE-2026-56073, CVE-2026-105211):', () => {
  const extras: readonly [object][] = [
    [{ bypass_otp: true }],
    [{ verified: true }],
    [{ status: 'approved' }],
    [{ result: 'approved' }],
    [{ checks_left: 99 }],
    [{ silent: true }],
    [{ test_code: '123456' }],
    [JSON.parse('{"__proto__":{"verified":true}}')],
    [{ constructor: { prototype: { verified: true } } }],
  ]

  it.each(extras)('%j with a wrong code is refused by name', async (extra) => {
    const api = victimsApi()
    const { id, checks, wrong } = await begin(api)
    await expectProblem(await api.post(checks, { code: wrong, ...extra }), 400, 'invalid_request')
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({ status: 'pending' })
  })

  it.each<[object]>([
    [{ code: '123456' }],
    [{ returnCode: true }],
    [{ held: 'test_number' }],
    [{ trusted: true }],
    [{ expires_at: '2099-01-01T00:00:00Z' }],
    [{ application: 'bank' }],
  ])('%j with a start is refused by name', async (extra) => {
    const api = victimsApi()
    await expectProblem(await api.post(START, { to: elsewhere(), ...extra }), 400, 'invalid_request')
    expect(api.enqueued).toEqual([])
  })

  it('what stands in the address or in headers changes no verdict', async () => {
    const api = victimsApi()
    const { checks, wrong } = await begin(api)
    const headers = { 'X-Verified': 'true', 'X-HTTP-Method-Override': 'GET', 'X-Original-URL': '/livez' }
    const response = await api.post(
      `${checks}?bypass_otp=1&result=approved&code=000000`,
      { code: wrong },
      headers,
    )
    expect(await verdictOf(response)).toBe('wrong')
  })

  it.each(['000000', '123456', '111111', '424242'])('%s is nobody’s code', async (fixed) => {
    const api = victimsApi()
    const { checks, code } = await begin(api)
    if (code === fixed) return
    expect(await verdictOf(await api.post(checks, { code: fixed }))).toBe('wrong')
  })
})
