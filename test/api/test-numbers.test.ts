/** Test numbers over HTTP: their code is always theirs, however often a test run starts, and only they are they. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { codeOf, wrongFor } from '#test/fixtures/store.ts'
import { parseTestNumber } from '#verification/lists.ts'
import type { Policy } from '#verification/policy.ts'
import { type Api, apiOn, expectProblem, jsonOf } from './api.ts'

const connection = useRedis()
const NUMBER = '+15005550006'
const CODE = codeOf('123456')
const WRONG = wrongFor(CODE)
const RUNS = 25

function testing(policy: Partial<Policy> = {}) {
  const listed = parseTestNumber(`${NUMBER}:${CODE}`)
  if (!listed) throw new Error('No test number')
  return apiOn(connection.redis, { policy, config: { lists: { allowed: [], denied: [], tests: [listed] } } })
}

const start = async (api: Api, to = NUMBER) => jsonOf(await api.post('/v1/verifications', { to }), 202)
const check = async (api: Api, code: string) =>
  (await jsonOf(await api.post('/v1/checks', { to: NUMBER, code }), 200)).result

describe('a test number', () => {
  it.each(['same', 'new'] as const)(
    'keeps its code when it is sent again, by number and by id, under RESEND_CODE=%s',
    async (resendCode) => {
      const api = testing({ resendCode, resendWaitsMs: [0, 0, 0] })
      const { id } = await start(api)
      await start(api)
      expect((await api.send('POST', `/v1/verifications/${id}/sends`)).status).toBe(202)
      expect(await check(api, CODE)).toBe('approved')
    },
  )

  it('serves one test run after the other: no window of a number holds for it', async () => {
    const api = testing()
    for (let run = 0; run < RUNS; run++) {
      const { id } = await start(api)
      expect(await check(api, WRONG)).toBe('wrong')
      expect(await check(api, CODE), `run ${run} of ${id}`).toBe('approved')
    }
  })

  it('is sent to again and again, by its id too', async () => {
    const sendLimits = [{ name: 'few', max: 1, windowMs: 60_000 }]
    const api = testing({ sendLimits, resendWaitsMs: [0, 0, 0] })
    const { id } = await start(api)
    expect((await api.send('POST', `/v1/verifications/${id}/sends`)).status).toBe(202)
  })

  it('takes the wrong codes of a verification as any other, and is never disabled', async () => {
    const api = testing({ wrongInARowMax: 3 })
    await start(api)
    for (let tries = 0; tries < 5; tries++) expect(await check(api, WRONG)).toBe('wrong')
    expect(await check(api, CODE)).toBe('exhausted')
    await start(api)
    expect(await check(api, CODE)).toBe('approved')
  })

  it.each(['+1 (500) 555-0006', '+1.500.555.0006', '+1\u00a0500-555-0006'])(
    'is itself, spelled %j',
    async (to) => {
      const api = testing()
      await start(api, to)
      expect(await check(api, CODE)).toBe('approved')
    },
  )

  it.each([
    'call me +15005550006 x',
    '+15005550006;ext=1',
    'tel:+15005550006',
    '+1500555OOO6 0006',
    '++15005550006',
    '+1500+5550006',
    `+1500555${' '.repeat(30)}0006`,
  ])('is not %j, which is no number', async (to) => {
    await expectProblem(await testing().post('/v1/verifications', { to }), 422, 'invalid_number')
  })
})
