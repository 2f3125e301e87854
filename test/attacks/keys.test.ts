/**
 * Keys and challenges that are good for more than they were given for.
 */
import { describe, expect, it } from 'vitest'
import {
  type Api,
  apiOn,
  CHALLENGE_BITS,
  expectProblem,
  type Headers,
  jsonOf,
  KEYS,
  WITH_KEYS,
} from '#test/api/api.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { solve } from '#test/fixtures/solve.ts'
import type { Application } from '#verification/verification.ts'
import { as, elsewhere, freshPrefix, rule, SHOP, START } from './stranger.ts'

const connection = useRedis()

describe('a challenge that was solved in advance, in bulk or for somebody else:', () => {
  const demanding = () =>
    apiOn(connection.redis, { policy: { rules: [rule('range', 'numbers', 1, 'challenge')] } })

  /** A number of a range where a challenge is wanted, and one for it that is solved. */
  async function solvedFor(api: Api, ip: string, numberAt = freshPrefix()) {
    await api.post(START, { to: numberAt(1) })
    const to = numberAt(2)
    const asked = await expectProblem(await api.post(START, { to, client_ip: ip }), 428, 'challenge_required')
    const { token } = asked.challenge as { token: string }
    return { to, numberAt, challenge: { token, solution: solve({ token, bits: CHALLENGE_BITS }) } }
  }

  it('is good for its number and its network, once', async () => {
    const api = demanding()
    const { to, numberAt, challenge } = await solvedFor(api, '203.0.113.7')
    const start = (body: object) => api.post(START, { challenge, ...body })
    await expectProblem(await start({ to: numberAt(3), client_ip: '203.0.113.7' }), 428, 'challenge_failed')
    await expectProblem(await start({ to, client_ip: '203.0.113.8' }), 428, 'challenge_failed')
    await expectProblem(await start({ to }), 428, 'challenge_failed')
    await jsonOf(await start({ to, client_ip: '203.0.113.7' }), 202)
    await api.post('/v1/destinations/erase', { to })
    const again = await start({ to, client_ip: '203.0.113.7' })
    await expectProblem(again, 428, 'challenge_used')
  })

  it('is not taken two minutes later', async () => {
    let now = Date.now()
    const rules = [rule('range', 'numbers', 1, 'challenge')]
    const api = apiOn(connection.redis, { policy: { rules }, now: () => now })
    const { to, challenge } = await solvedFor(api, '203.0.113.7')
    now += 120_000
    const late = await api.post(START, { to, client_ip: '203.0.113.7', challenge })
    await expectProblem(late, 428, 'challenge_failed')
  })

  it('of one application is no other’s', async () => {
    const config = WITH_KEYS
    const rules = [rule('range', 'numbers', 1, 'challenge')]
    const api = apiOn(connection.redis, { config, policy: { rules } })
    const numberAt = freshPrefix()
    await api.post(START, { to: numberAt(1) }, as(KEYS.bank))
    const to = numberAt(2)
    const asked = await expectProblem(await api.post(START, { to }, as(KEYS.bank)), 428, 'challenge_required')
    const { token } = asked.challenge as { token: string }
    const challenge = { token, solution: solve({ token, bits: CHALLENGE_BITS }) }
    await expectProblem(await api.post(START, { to, challenge }, as(KEYS.shop)), 428, 'challenge_failed')
  })
})

describe('a key that reaches further than it should:', () => {
  const admins = () => apiOn(connection.redis, { config: WITH_KEYS })

  it('without the scope admin neither erases a number nor binds it again, and learns nothing by asking', async () => {
    const api = admins()
    const { to, checks, code } = await api.start(as(KEYS.shop), SHOP)
    for (const path of ['erase', 'rebind', 'purge'])
      expect((await api.post(`/v1/destinations/${path}`, { to }, as(KEYS.shop))).status).toBe(
        path === 'purge' ? 404 : 403,
      )
    expect(await jsonOf(await api.post(checks, { code }, as(KEYS.shop)), 200)).toMatchObject({
      result: 'approved',
    })
  })

  it('with the scope admin erases nothing of another application', async () => {
    const api = admins()
    const { to, checks, code } = await api.start(as(KEYS.bank), 'bank' as Application)
    expect((await api.post('/v1/destinations/erase', { to }, as(KEYS.admin))).status).toBe(204)
    expect(await jsonOf(await api.post(checks, { code }, as(KEYS.bank)), 200)).toMatchObject({
      result: 'approved',
    })
  })

  it('with another’s Idempotency-Key replays nothing of theirs, neither a start nor a check', async () => {
    const api = admins()
    const key = { 'Idempotency-Key': 'order-1' }
    const to = elsewhere()
    const theirs = await jsonOf(await api.post(START, { to }, { ...as(KEYS.shop), ...key }), 202)
    const mine = await jsonOf(await api.post(START, { to }, { ...as(KEYS.bank), ...key }), 202)
    expect(mine.id).not.toBe(theirs.id)
    const code = await api.codeOf(String(theirs.id), SHOP)
    const check = (headers: Headers) =>
      api.post(`${START}/${theirs.id}/checks`, { code }, { ...headers, ...key })
    await jsonOf(await check(as(KEYS.shop)), 200)
    await expectProblem(await check(as(KEYS.bank)), 404, 'unknown_verification')
  })

  it('learns of another’s verification exactly what it learns of one that never was', async () => {
    const api = admins()
    const { id } = await api.start(as(KEYS.shop), SHOP)
    const seen = async (wanted: string) => {
      const response = await api.get(`${START}/${wanted}`, as(KEYS.bank))
      return [response.status, await response.text()]
    }
    expect(await seen(id)).toEqual(await seen('0'.repeat(32)))
  })

  it.each([
    ['no key', {}],
    ['a key that differs in its last character', as(`${KEYS.shop.slice(0, -1)}x`)],
    ['a key cut short', as(KEYS.shop.slice(0, -1))],
    ['a key under another scheme', { Authorization: `Basic ${btoa(`:${KEYS.shop}`)}` }],
    ['a key in a cookie', { Cookie: `key=${KEYS.shop}` }],
  ])('%s is 401, the same for everything there is and is not', async (_, headers) => {
    const api = admins()
    const { id } = await api.start(as(KEYS.shop), SHOP)
    const answers = [`${START}/${id}`, `${START}/${'0'.repeat(32)}`, '/v1/nothing'].map(async (path) => {
      const response = await api.get(path, headers)
      return [response.status, await response.text()]
    })
    const [first, ...rest] = await Promise.all(answers)
    expect(first?.[0]).toBe(401)
    for (const answer of rest) expect(answer).toEqual(first)
  })
})
