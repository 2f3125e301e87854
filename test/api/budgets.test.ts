/** The budgets of a number as a caller meets them: which one says no, until when, and what they leave to its owner. */
import { describe, expect, it } from 'vitest'
import { DEFAULT_APPLICATION } from '#api/caller.ts'
import { readConfig } from '#api/config.ts'
import { NOT_APPROVED } from '#api/sentences.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, wrongFor } from '#test/fixtures/store.ts'
import type { VerificationId } from '#verification/verification.ts'
import { type Api, apiOn, expectProblem, FORM_APPLICATION, jsonOf } from './api.ts'

const connection = useRedis()
const START = '/v1/verifications'
const HOUR_S = 3_600

async function startedOn(api: Api, to: string) {
  const { id } = await jsonOf(await api.post(START, { to }), 202)
  const code = await api.codeOf(String(id))
  const check = async (typed: string) => {
    const { result, checks_left } = await jsonOf(
      await api.post(`${START}/${id}/checks`, { code: typed }),
      200,
    )
    return `${result} ${checks_left}`
  }
  return { id: String(id), code, wrong: code === '000000' ? '000001' : '000000', check }
}

/** Five wrong codes: what a stranger who guesses does to a verification. */
async function exhaust(api: Api, to: string) {
  const begun = await startedOn(api, to)
  for (let tries = 1; tries < 5; tries++) await begun.check(begun.wrong)
  expect(await begun.check(begun.wrong)).toBe('wrong 0')
  return begun
}

describe('a verification that its five wrong codes have ended', () => {
  it('is followed by a new one at once, whose code is approved', async () => {
    const api = apiOn(connection.redis)
    const to = freshDestination()
    const burnt = await exhaust(api, to)
    const next = await startedOn(api, to)
    expect(next.id).not.toBe(burnt.id)
    expect(await burnt.check(burnt.code)).toBe('exhausted 0')
    expect(await next.check(next.code)).toBe('approved 0')
  })

  it('by number: the second one’s five end the hour for the number, and the answer says which limit and until when', async () => {
    const api = apiOn(connection.redis)
    const to = freshDestination()
    await exhaust(api, to)
    await exhaust(api, to)
    const refusals = [await api.post(START, { to }), await api.post('/v1/checks', { to, code: '000000' })]
    const [start, check] = refusals
    if (!start || !check) throw new Error('Two were asked')
    const problem = await expectProblem(start, 429, 'check_limit')
    expect(problem).toMatchObject({ limit: 'number_wrong_hour' })
    expect(Number(problem.retry_after)).toBeGreaterThan(HOUR_S - 30)
    expect(Number(problem.retry_after)).toBeLessThanOrEqual(HOUR_S)
    expect(start.headers.get('Retry-After')).toBe(String(problem.retry_after))
    expect(await jsonOf(check, 200)).toMatchObject({ result: 'exhausted' })
    expect(api.lines.find(({ refusal }) => refusal === 'check_limit')).toMatchObject({
      limit: 'number_wrong_hour',
    })
  })
})

it('a verification that was canceled is followed by a new one at once', async () => {
  const api = apiOn(connection.redis)
  const to = freshDestination()
  const first = await startedOn(api, to)
  await api.send('DELETE', `${START}/${first.id}`)
  const next = await startedOn(api, to)
  expect(await first.check(first.code)).toBe('canceled 0')
  expect(await next.check(next.code)).toBe('approved 0')
})

it('starting over and over runs into the sends of the number, and the answer says which limit and until when', async () => {
  const api = apiOn(connection.redis)
  const to = freshDestination()
  for (let time = 1; time <= 5; time++) {
    const { id } = await startedOn(api, to)
    await api.send('DELETE', `${START}/${id}`)
  }
  const problem = await expectProblem(await api.post(START, { to }), 429, 'send_limit')
  expect(problem).toMatchObject({ limit: 'number_10_minutes' })
  expect(Number(problem.retry_after)).toBeGreaterThan(590)
  expect(Number(problem.retry_after)).toBeLessThanOrEqual(600)
})

it('of two limits that are reached the longer wait is told, by its name', async () => {
  const wrongCheckLimits = [
    { name: 'short', max: 1, windowMs: 10_000 },
    { name: 'long', max: 1, windowMs: 100_000 },
  ]
  const api = apiOn(connection.redis, { policy: { wrongCheckLimits } })
  const begun = await api.start()
  await api.post(begun.checks, { code: begun.wrong })
  const problem = await expectProblem(await api.post(begun.checks, { code: begun.code }), 429, 'check_limit')
  expect(problem).toMatchObject({ limit: 'long', retry_after: 100 })
})

describe('with limits of its own a number', () => {
  const policyOf = (env: Record<string, string>) => readConfig(env).config.policy
  const restart = async (api: Api, to: string) => {
    const { id } = await startedOn(api, to)
    await api.send('DELETE', `${START}/${id}`)
  }

  it.each([
    ['number_10_minutes', 600, { LIMIT_NUMBER_10_MINUTES: '2', LIMIT_NUMBER_DAY: '50' }],
    ['number_day', 86_400, { LIMIT_NUMBER_10_MINUTES: '50', LIMIT_NUMBER_DAY: '2' }],
  ])('is sent to as often as %s says', async (limit, longest, env) => {
    const api = apiOn(connection.redis, { policy: policyOf(env) })
    const to = freshDestination()
    await restart(api, to)
    await restart(api, to)
    const problem = await expectProblem(await api.post(START, { to }), 429, 'send_limit')
    expect(problem.limit).toBe(limit)
    expect(Number(problem.retry_after)).toBeGreaterThan(longest - 10)
    expect(Number(problem.retry_after)).toBeLessThanOrEqual(longest)
  })

  it.each([
    ['number_wrong_hour', HOUR_S, { LIMIT_NUMBER_WRONG_HOUR: '3' }],
    ['number_wrong_day', 24 * HOUR_S, { LIMIT_NUMBER_WRONG_DAY: '4' }],
  ])('takes as many wrong codes as %s says, and then not the right one', async (limit, longest, env) => {
    const api = apiOn(connection.redis, { policy: policyOf(env) })
    const { checks, code, wrong } = await api.start()
    for (let left = Number(Object.values(env)[0]); left > 0; left--) await api.post(checks, { code: wrong })
    const problem = await expectProblem(await api.post(checks, { code }), 429, 'check_limit')
    expect(problem.limit).toBe(limit)
    expect(Number(problem.retry_after)).toBeGreaterThan(longest - 10)
    expect(Number(problem.retry_after)).toBeLessThanOrEqual(longest)
  })

  it('waits between two codes, and is sent as many, as RESEND_WAITS_SECONDS says', async () => {
    const api = apiOn(connection.redis, { policy: policyOf({ RESEND_WAITS_SECONDS: '45' }) })
    const { id, to, answer } = await api.start()
    expect(answer.sends_left).toBe(1)
    expect(Date.parse(String(answer.next_send_at)) - Date.parse(String(answer.created_at))).toBe(45_000)
    const problem = await expectProblem(
      await api.send('POST', `${START}/${id}/sends`),
      429,
      'resend_cooldown',
    )
    expect(problem.retry_after).toBe(45)
    const key = api.store.keys.verification(DEFAULT_APPLICATION, id as VerificationId)
    await connection.redis.hset(key, 'next_send', 1)
    const again = await jsonOf(await api.post(START, { to }), 202)
    expect(again).toMatchObject({ id, sends_left: 0, next_send_at: null })
  })

  it('has payments that end after as many wrong codes as PAYMENT_WRONG_MAX says, for as long as is said', async () => {
    const env = { PAYMENT_WRONG_MAX: '2', PAYMENT_BLOCK_SECONDS: '120' }
    const api = apiOn(connection.redis, { policy: policyOf(env) })
    const context = { amount: '9.90', currency: 'EUR', payee: 'Shop' }
    const to = freshDestination()
    const { id, checks_left } = await jsonOf(await api.post(START, { to, context }), 202)
    expect(checks_left).toBe(2)
    const wrong = wrongFor(await api.codeOf(String(id)))
    for (let tries = 0; tries < 2; tries++) await api.post('/v1/checks', { to, code: wrong, context })
    const problem = await expectProblem(await api.post(START, { to, context }), 429, 'payment_blocked')
    expect(Number(problem.retry_after)).toBeGreaterThan(110)
    expect(Number(problem.retry_after)).toBeLessThanOrEqual(120)
  })
})

it('the page says the wait that is set', async () => {
  const { policy } = readConfig({ RESEND_WAITS_SECONDS: '45' }).config
  const api = apiOn(connection.redis, { policy })
  const form = { number: freshDestination() }
  await api.postForm('/request-auth', form, { Accept: 'text/html' })
  const page = await api.postForm('/request-auth', form, { Accept: 'text/html' })
  expect(await page.text()).toContain('A code was sent a moment ago. Try again in 45 seconds.')
})

describe('the page', () => {
  const policy = {
    resendWaitsMs: [0],
    sendLimits: [{ name: 'sends', max: 1, windowMs: 600_000 }],
    wrongCheckLimits: [{ name: 'guesses', max: 1, windowMs: HOUR_S * 1_000 }],
  }

  async function asked() {
    const api = apiOn(connection.redis, { policy })
    const number = freshDestination()
    const post = (path: string, more: Record<string, string> = {}) =>
      api.postForm(path, { number, ...more }, { Accept: 'text/html' })
    await post('/request-auth')
    const code = await api.codeOf(api.enqueued[0]?.verification ?? '', FORM_APPLICATION)
    return { api, post, code }
  }

  it('says of too many sends how long to wait, and the log which limit it was', async () => {
    const { api, post } = await asked()
    const page = await post('/request-auth')
    expect(page.status).toBe(429)
    expect(await page.text()).toContain('This number was sent too many codes. Try again in 10 minutes.')
    expect(api.lines.at(-1)).toMatchObject({ refusal: 'send_limit', limit: 'sends' })
  })

  it('says of too many wrong codes how long to wait to who asks for one, and to who types one only that it is wrong', async () => {
    const { api, post, code } = await asked()
    await post('/validate-auth', { auth_code: wrongFor(code) })
    const typed = await post('/validate-auth', { auth_code: code })
    expect(typed.status).toBe(403)
    expect(await typed.text()).toContain(NOT_APPROVED)
    expect(api.lines.at(-1)).toMatchObject({ result: 'wrong', explain: 'guesses=block' })
    const page = await post('/request-auth')
    expect(page.status).toBe(429)
    expect(await page.text()).toContain(
      'Too many wrong codes were tried for this number. Try again in 60 minutes.',
    )
    expect(api.lines.at(-1)).toMatchObject({ refusal: 'check_limit', limit: 'guesses' })
  })
})
