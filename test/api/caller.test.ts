/** API keys: who is let in, that nothing is read of who is not, and that applications do not see each other. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import type { Application } from '#verification/verification.ts'
import { apiKey, apiOn, expectProblem, jsonOf, KEYS, WITH_KEYS } from './api.ts'

const connection = useRedis()
const START = '/v1/verifications'
const shopApi = () => apiOn(connection.redis, { config: WITH_KEYS })
const as = (key: string) => ({ Authorization: `Bearer ${key}` })
const SHOP = 'shop' as Application

describe('a request without keys configured', () => {
  it('belongs to the default application, whatever key it shows', async () => {
    const api = apiOn(connection.redis)
    await jsonOf(await api.post(START, { to: freshDestination() }, as('anything')), 202)
    expect(api.enqueued).toMatchObject([{ application: 'default' }])
  })
})

describe('a request with keys configured', () => {
  it.each([
    ['the key', `Bearer ${KEYS.shop}`],
    ['the scheme in small letters', `bearer ${KEYS.shop}`],
    ['the scheme in capitals', `BEARER ${KEYS.shop}`],
  ])('is let in with %s', async (_, Authorization) => {
    const api = shopApi()
    await jsonOf(await api.post(START, { to: freshDestination() }, { Authorization }), 202)
    expect(api.enqueued).toMatchObject([{ application: 'shop' }])
  })

  it.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['the scheme alone', 'Bearer'],
    ['the scheme and a space', 'Bearer '],
    ['another key', `Bearer ${KEYS.shop.replace('0', '1')}`],
    ['a prefix of the key', `Bearer ${KEYS.shop.slice(0, -1)}`],
    ['the key and more', `Bearer ${KEYS.shop}0`],
    ['the key in capitals', `Bearer ${KEYS.shop.toUpperCase()}`],
    ['the key and a word', `Bearer ${KEYS.shop} ${KEYS.shop}`],
    ['two spaces', `Bearer  ${KEYS.shop}`],
    ['the key without a scheme', KEYS.shop],
    ['another scheme', `Basic ${KEYS.shop}`],
    ['name and key as configured', `Bearer shop:${KEYS.shop}`],
    ['the name', 'Bearer shop'],
    ['two keys', `Bearer ${KEYS.shop}, Bearer ${KEYS.bank}`],
  ])('is refused with 401 with %s', async (_, Authorization) => {
    const api = shopApi()
    const headers = Authorization === undefined ? {} : { Authorization }
    const response = await api.post(START, { to: freshDestination() }, headers)
    expect(response.headers.get('WWW-Authenticate')).toBe('Bearer')
    await expectProblem(response, 401, 'unauthorized')
    expect(api.enqueued).toEqual([])
  })

  it.each([
    ['malformed JSON', '{', 'application/json'],
    ['no JSON', 'x', 'text/plain'],
  ])('is 401 before its body is looked at: %s', async (_, body, type) => {
    await expectProblem(await shopApi().postText(START, body, { 'Content-Type': type }), 401, 'unauthorized')
  })

  it('is 401 before it learns what exists: methods, addresses, ids', async () => {
    const api = shopApi()
    const { id } = await api.start(as(KEYS.shop), SHOP)
    for (const path of [`${START}/${id}`, START, '/v1/nothing']) {
      await expectProblem(await api.get(path), 401, 'unauthorized')
    }
  })

  it.each(['/livez', '/readyz', '/openapi.json', '/', '/style.css'])(
    'is not asked for one at %s',
    async (path) => {
      expect((await shopApi().get(path)).status).toBe(200)
    },
  )
})

it('of a thousand keys that begin as the right one does, not one is known', async () => {
  const api = shopApi()
  const similar = Array.from({ length: 1_000 }, (_, index) => `${KEYS.shop.slice(0, -4)}${1_000 + index}`)
  const statuses = await Promise.all(
    similar.map(async (key) => (await api.get('/v1/nothing', as(key))).status),
  )
  expect(new Set(statuses)).toEqual(new Set([401]))
})

describe('one application', () => {
  it('cannot read, send, check or cancel what another started', async () => {
    const api = shopApi()
    const { id, to, code } = await api.start(as(KEYS.shop), SHOP)
    const bank = as(KEYS.bank)
    for (const response of [
      await api.get(`${START}/${id}`, bank),
      await api.send('DELETE', `${START}/${id}`, bank),
      await api.send('POST', `${START}/${id}/sends`, bank),
      await api.post(`${START}/${id}/checks`, { code }, bank),
      await api.post('/v1/checks', { to, code }, bank),
    ]) {
      await expectProblem(response, 404, 'unknown_verification')
    }
    expect(await jsonOf(await api.get(`${START}/${id}`, as(KEYS.shop)), 200)).toMatchObject({
      status: 'pending',
      checks_left: 5,
    })
    const own = await api.post(`${START}/${id}/checks`, { code }, as(KEYS.shop))
    expect(await jsonOf(own, 200)).toMatchObject({ result: 'approved' })
  })

  it('does not spend the sends or wrong codes of another', async () => {
    const api = shopApi()
    const { to } = await api.start(as(KEYS.shop), SHOP)
    await expectProblem(await api.post(START, { to }, as(KEYS.shop)), 429, 'resend_cooldown')
    await jsonOf(await api.post(START, { to }, as(KEYS.bank)), 202)
  })

  it('keeps its verifications when its key changes', async () => {
    const api = apiOn(connection.redis, {
      config: {
        apiKeys: [apiKey('shop', KEYS.shop), apiKey('shop', KEYS.bank)],
      },
    })
    const { id } = await api.start(as(KEYS.shop), SHOP)
    expect(await jsonOf(await api.get(`${START}/${id}`, as(KEYS.bank)), 200)).toMatchObject({ id })
  })
})
