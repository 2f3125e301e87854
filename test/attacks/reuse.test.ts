/**
 * A code used twice, or for something it was not made for.
 */
import { describe, expect, it } from 'vitest'
import { type Api, apiOn, expectProblem, jsonOf, KEYS, WITH_KEYS } from '#test/api/api.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import type { Policy } from '#verification/policy.ts'
import { as, begin, elsewhere, SENDS_FREE, SHOP, START, verdictOf } from './stranger.ts'

const connection = useRedis()

const victimsApi = (policy: Partial<Policy> = {}) =>
  apiOn(connection.redis, { policy: { ...SENDS_FREE, ...policy } })

describe('a code used again, or for something else (CVE-2021-43177, CVE-2026-27855, CVE-2026-3655):', () => {
  it('by id, by number and after a restart a used code stays used', async () => {
    const api = victimsApi()
    const { to, checks, code } = await begin(api)
    expect(await verdictOf(await api.post(checks, { code }))).toBe('approved')
    const again = apiOn(connection.redis, { policy: SENDS_FREE, same: api.store })
    const verdicts = [
      api.post(checks, { code }),
      api.post('/v1/checks', { to, code }),
      again.post(checks, { code }),
    ]
    for (const response of await Promise.all(verdicts)) expect(await verdictOf(response)).toBe('already_used')
  })

  it.each<[string, object]>([
    ['another purpose', { purpose: 'payment' }],
    ['another number, such as one of their own', { to: 'other' }],
    [
      'a payment, though it was asked for without one',
      { context: { amount: '9.00', currency: 'EUR', payee: 'A' } },
    ],
  ])('for %s it is wrong', async (_, change) => {
    const api = victimsApi()
    const { to, code, checks } = await begin(api)
    const wanted = { to, ...change, ...('to' in change ? { to: elsewhere() } : {}) }
    if (!('context' in change)) {
      const other = await jsonOf(await api.post(START, wanted), 202)
      if ((await api.codeOf(String(other.id))) === code) return
    }
    expect(await verdictOf(await api.post('/v1/checks', { ...wanted, code }))).toBe('wrong')
    expect(await verdictOf(await api.post(checks, { code }))).toBe('approved')
  })

  it('for a payment is never told by a call, which would not say what is paid', async () => {
    const calling = apiOn(connection.redis, { config: { channels: ['sms', 'call'] }, policy: SENDS_FREE })
    const to = elsewhere()
    const context = { amount: '10.00', currency: 'EUR', payee: 'Shop' }
    const refused = await calling.post(START, { to, context, channel: 'call' })
    expect(await expectProblem(refused, 400, 'invalid_request')).toMatchObject({
      errors: [{ field: 'context', problem: expect.stringContaining('call') }],
    })
    expect(calling.enqueued).toEqual([])
    await jsonOf(await calling.post(START, { to, channel: 'call' }), 202)
    expect(await jsonOf(await calling.post(START, { to, context }), 202)).toMatchObject({ channel: 'sms' })
  })

  it('for a payment of another amount, currency or payee it is wrong', async () => {
    const api = victimsApi()
    const context = { amount: '10.00', currency: 'EUR', payee: 'Shop' }
    const { checks, code } = await begin(api, elsewhere(), { context })
    for (const change of [{ amount: '1000' }, { currency: 'USD' }, { payee: 'Thief' }])
      expect(await verdictOf(await api.post(checks, { code, context: { ...context, ...change } }))).toBe(
        'wrong',
      )
    expect(await verdictOf(await api.post(checks, { code, context }))).toBe('approved')
  })

  it('at another application it is wrong, and its id is not there', async () => {
    const api = apiOn(connection.redis, { config: WITH_KEYS })
    const { to, checks, code } = await api.start(as(KEYS.shop), SHOP)
    await expectProblem(await api.post(checks, { code }, as(KEYS.bank)), 404, 'unknown_verification')
    await jsonOf(await api.post(START, { to }, as(KEYS.bank)), 202)
    expect(await verdictOf(await api.post('/v1/checks', { to, code }, as(KEYS.bank)))).toBe('wrong')
    expect(await verdictOf(await api.post(checks, { code }, as(KEYS.shop)))).toBe('approved')
  })

  it('the number cannot be changed before the check (CVE-2022-28601)', async () => {
    const api = victimsApi()
    const mine = await begin(api)
    const response = await api.post(mine.checks, { code: mine.code, to: elsewhere() })
    await expectProblem(response, 400, 'invalid_request')
    const checked = await jsonOf(await api.post(mine.checks, { code: mine.code }), 200)
    expect(checked).toMatchObject({ verification: mine.id })
    expect(await jsonOf(await api.get(`${START}/${mine.id}`), 200)).toMatchObject({
      to: `+*******${mine.to.slice(-4)}`,
    })
  })

  it.each<[string, Partial<Policy>, string, (api: Api, id: unknown) => Promise<unknown>]>([
    ['that was canceled', {}, 'canceled', (api, id) => api.send('DELETE', `${START}/${id}`)],
    [
      'that a new one replaced',
      { resendCode: 'new' },
      'wrong',
      (api, id) => api.send('POST', `${START}/${id}/sends`),
    ],
    ['whose time is over (CVE-2024-8122)', { codeTtlMs: 0 }, 'expired', async () => undefined],
  ])('a code %s is dead', async (_, policy, verdict, end) => {
    const api = victimsApi(policy)
    const { id, checks, code } = await begin(api)
    await end(api, id)
    expect(await verdictOf(await api.post(checks, { code }))).toBe(verdict)
  })

  it('asking again and again does not make a code live longer', async () => {
    const api = victimsApi()
    const { to, id } = await begin(api)
    const { expires_at } = await jsonOf(await api.get(`${START}/${id}`), 200)
    expect(await jsonOf(await api.send('POST', `${START}/${id}/sends`), 202)).toMatchObject({ expires_at })
    expect(await jsonOf(await api.post(START, { to }), 202)).toMatchObject({ id, expires_at })
  })
})
