/** Checks over HTTP, by id and by number: every verdict, every refusal, and what an Idempotency-Key replays. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { type Api, apiOn, expectProblem, jsonOf } from './api.ts'

const connection = useRedis()

type Begun = Awaited<ReturnType<Api['start']>>

describe.each<[string, (api: Api, begun: Begun, code: string) => Promise<Response>]>([
  ['by id', (api, { checks }, code) => api.post(checks, { code })],
  ['by number', (api, { to }, code) => api.post('/v1/checks', { to, code })],
])('a check %s', (_, check) => {
  it('of the right code is approved, with exactly these keys, and only once', async () => {
    const api = apiOn(connection.redis)
    const begun = await api.start()
    expect(await jsonOf(await check(api, begun, begun.code), 200)).toStrictEqual({
      verification: begun.id,
      result: 'approved',
      checks_left: 0,
    })
    expect(await jsonOf(await check(api, begun, begun.code), 200)).toStrictEqual({
      verification: begun.id,
      result: 'already_used',
      checks_left: 0,
    })
  })

  it('of the right code by two at the same time is approved for one', async () => {
    const api = apiOn(connection.redis)
    const begun = await api.start()
    const answers = await Promise.all(Array.from({ length: 8 }, () => check(api, begun, begun.code)))
    const results = await Promise.all(answers.map(async (answer) => (await jsonOf(answer, 200)).result))
    expect(results.filter((result) => result === 'approved')).toHaveLength(1)
    expect(results.filter((result) => result === 'already_used')).toHaveLength(7)
  })

  it('of a wrong code is an answer that says how many are left, and the last one ends it', async () => {
    const api = apiOn(connection.redis)
    const begun = await api.start()
    const results: unknown[] = []
    for (let tries = 0; tries < 6; tries++) {
      const { result, checks_left } = await jsonOf(await check(api, begun, begun.wrong), 200)
      results.push(`${result} ${checks_left}`)
    }
    expect(results).toEqual(['wrong 4', 'wrong 3', 'wrong 2', 'wrong 1', 'wrong 0', 'exhausted 0'])
    expect(await jsonOf(await check(api, begun, begun.code), 200)).toMatchObject({ result: 'exhausted' })
  })

  it('of the right code after its time is expired', async () => {
    const api = apiOn(connection.redis, { policy: { codeTtlMs: 0 } })
    const begun = await api.start()
    expect(await jsonOf(await check(api, begun, begun.code), 200)).toMatchObject({ result: 'expired' })
  })

  it('of a canceled verification is canceled', async () => {
    const api = apiOn(connection.redis)
    const begun = await api.start()
    await api.send('DELETE', `/v1/verifications/${begun.id}`)
    expect(await jsonOf(await check(api, begun, begun.code), 200)).toMatchObject({ result: 'canceled' })
  })

  it('takes a code as people paste it', async () => {
    const api = apiOn(connection.redis)
    const begun = await api.start()
    const fullWidth = begun.code.replace(/[0-9]/g, (digit) => String.fromCharCode(0xff10 + Number(digit)))
    const pasted = ` ${fullWidth.slice(0, 3)}-${begun.code.slice(3)} `
    expect(await jsonOf(await check(api, begun, pasted), 200)).toMatchObject({ result: 'approved' })
  })

  it.each(['12345', '1234567', '12a456', '', '\u2460\u2461\u2462\u2463\u2464\u2465'])(
    'of %j is 400 and costs no try',
    async (code) => {
      const api = apiOn(connection.redis)
      const begun = await api.start()
      await expectProblem(await check(api, begun, code), 400, 'invalid_code')
      expect(await jsonOf(await check(api, begun, begun.wrong), 200)).toMatchObject({ checks_left: 4 })
    },
  )

  it('of any code is 429 once the number has had its wrong codes, and so is a start', async () => {
    const wrongCheckLimits = [{ name: 'test', max: 1, windowMs: 3_600_000 }]
    const api = apiOn(connection.redis, { policy: { wrongCheckLimits, resendWaitsMs: [0] } })
    const begun = await api.start()
    await check(api, begun, begun.wrong)
    for (const response of [
      await check(api, begun, begun.code),
      await api.post('/v1/verifications', { to: begun.to, purpose: 'login' }),
      await api.send('POST', `/v1/verifications/${begun.id}/sends`),
    ]) {
      await expectProblem(response, 429, 'check_limit')
      expect(Number(response.headers.get('Retry-After'))).toBeGreaterThanOrEqual(3_599)
      expect(Number(response.headers.get('Retry-After'))).toBeLessThanOrEqual(3_600)
    }
  })
})

describe('a check by number', () => {
  it('of a number nobody started is an unknown verification', async () => {
    const api = apiOn(connection.redis)
    const response = await api.post('/v1/checks', { to: freshDestination(), code: '012345' })
    await expectProblem(response, 404, 'unknown_verification')
  })

  it('of another number with the code of this one is wrong, and leaves this one alone', async () => {
    const api = apiOn(connection.redis)
    const [one, other] = [await api.start(), await api.start()]
    if (one.code === other.code) return
    expect(await jsonOf(await api.post('/v1/checks', { to: other.to, code: one.code }), 200)).toMatchObject({
      verification: other.id,
      result: 'wrong',
    })
    expect(await jsonOf(await api.post(one.checks, { code: one.code }), 200)).toMatchObject({
      result: 'approved',
    })
  })

  it('finds only the verification of its purpose', async () => {
    const api = apiOn(connection.redis)
    const { to, code } = await api.start()
    const response = await api.post('/v1/checks', { to, code, purpose: 'login' })
    await expectProblem(response, 404, 'unknown_verification')
  })

  it('reads the number in any spelling, and refuses it as a start would', async () => {
    const api = apiOn(connection.redis)
    const { to, code } = await api.start()
    const national = { to: `(${to.slice(2, 5)}) ${to.slice(5)}`, country: 'US' }
    expect(await jsonOf(await api.post('/v1/checks', { ...national, code }), 200)).toMatchObject({
      result: 'approved',
    })
    await expectProblem(await api.post('/v1/checks', { to: '911', code }), 422, 'short_number')
  })
})
