/** `/v1/destinations` over HTTP: a number that is disabled, and bound again. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, wrongFor } from '#test/fixtures/store.ts'
import { apiKey, apiOn, expectProblem, FORM_APPLICATION, jsonOf, KEYS, WITH_KEYS } from './api.ts'

const connection = useRedis()
const REBIND = '/v1/destinations/rebind'

async function disabled() {
  const api = apiOn(connection.redis, { policy: { wrongInARowMax: 1, resendWaitsMs: [0] } })
  const begun = await api.start()
  await jsonOf(await api.post(begun.checks, { code: begun.wrong }), 200)
  return { api, begun }
}

describe('a disabled number', () => {
  it('is 403 to start, resend and check, names the limit, and says nothing of waiting', async () => {
    const { api, begun } = await disabled()
    for (const response of [
      await api.post('/v1/verifications', { to: begun.to, purpose: 'login' }),
      await api.send('POST', `/v1/verifications/${begun.id}/sends`),
      await api.post(begun.checks, { code: begun.code }),
      await api.post('/v1/checks', { to: begun.to, code: begun.code }),
    ]) {
      const problem = await expectProblem(response, 403, 'number_disabled')
      expect(problem).toMatchObject({ limit: 'number_wrong_in_a_row' })
      expect(problem).not.toHaveProperty('retry_after')
      expect(response.headers.get('Retry-After')).toBeNull()
    }
  })

  it.each(['spelled in full', 'spelled at home'])(
    '%s is bound again with 204, and works',
    async (spelled) => {
      const { api, begun } = await disabled()
      const national = { to: `(${begun.to.slice(2, 5)}) ${begun.to.slice(5)}`, country: 'US' }
      const body = spelled === 'spelled in full' ? { to: begun.to } : national
      for (const _ of ['once', 'and again']) {
        const response = await api.post(REBIND, body)
        expect(`${response.status} ${await response.text()}`).toBe('204 ')
      }
      expect(await jsonOf(await api.post(begun.checks, { code: begun.code }), 200)).toMatchObject({
        result: 'approved',
      })
    },
  )

  it('is bound again by its own application only', async () => {
    const bankAdmin = 'bank-admin-key-0123456789abcdef012345'
    const apiKeys = [...(WITH_KEYS.apiKeys ?? []), apiKey('bank', bankAdmin, ['admin'])]
    const api = apiOn(connection.redis, { policy: { wrongInARowMax: 1 }, config: { apiKeys } })
    const shop = { Authorization: `Bearer ${KEYS.shop}` }
    const begun = await api.start(shop, 'shop' as never)
    await api.post(begun.checks, { code: begun.wrong }, shop)
    const theirs = await api.post(REBIND, { to: begun.to }, { Authorization: `Bearer ${bankAdmin}` })
    expect(theirs.status).toBe(204)
    await expectProblem(await api.post(begun.checks, { code: begun.code }, shop), 403, 'number_disabled')
  })

  it('answers the form as any other number does', async () => {
    const api = apiOn(connection.redis, { policy: { wrongInARowMax: 1 } })
    const [number, other] = [freshDestination(), freshDestination()]
    const tag = api.store.vault.tagDestination(number)
    await connection.redis.set(api.store.keys.wrongInARow(FORM_APPLICATION, tag), 1, 'EX', 60)
    const plain = async (path: string, fields: Record<string, string>) => {
      const response = await api.postForm(path, fields)
      return `${response.status} ${await response.text()}`
    }
    expect(await plain('/request-auth', { number })).toBe(await plain('/request-auth', { number: other }))
    const code = await api.codeOf(api.enqueued[0]?.verification ?? '', FORM_APPLICATION)
    expect(await plain('/validate-auth', { number, auth_code: code })).toBe('403 Forbidden')
  })
})

describe('a number that codes are not sent to', () => {
  it.each(['+442071838750', '+15005550006', '+18005550199'])(
    'is bound again all the same: %s',
    async (to) => {
      const api = apiOn(connection.redis)
      expect((await api.post(REBIND, { to })).status).toBe(204)
    },
  )

  it.each(['911', '', 'x', '+1', '2025550143', '+1 (202) 555-0143;ext=9'])('is none: %j', async (to) => {
    const api = apiOn(connection.redis)
    await expectProblem(await api.post(REBIND, { to }), 422, 'invalid_number')
  })
})

describe('what the form knows of a number', () => {
  const formAdmin = 'form-admin-key-0123456789abcdef012345'
  const apiKeys = [...(WITH_KEYS.apiKeys ?? []), apiKey('form', formAdmin, ['admin'])]
  const policy = { wrongInARowMax: 1 }
  const as = (key: string) => ({ Authorization: `Bearer ${key}` })

  /** A number that asked for a code at the form, and was disabled there by a wrong one. */
  async function disabledAtForm(config: Parameters<typeof apiOn>[1] = {}) {
    const api = apiOn(connection.redis, { policy, ...config })
    const number = freshDestination()
    await api.postForm('/request-auth', { number })
    const id = api.enqueued[0]?.verification ?? ''
    const code = await api.codeOf(id, FORM_APPLICATION)
    await api.postForm('/validate-auth', { number, auth_code: wrongFor(code) })
    const check = async () => (await api.postForm('/validate-auth', { number, auth_code: code })).status
    const known = async () => {
      const tag = api.store.vault.tagDestination(number)
      const names = await connection.redis.keys(`{${api.store.prefix}}:form:*`)
      return names.filter((name) => name.includes(tag) || name.endsWith(`:v:${id}`))
    }
    return { api, number, check, known }
  }

  it('is bound again by a key of its own', async () => {
    const { api, number, check } = await disabledAtForm({ config: { apiKeys } })
    expect((await api.post(REBIND, { to: number }, as(KEYS.admin))).status).toBe(204)
    expect(await check()).toBe(403)
    expect((await api.post(REBIND, { to: number }, as(formAdmin))).status).toBe(204)
    expect(await check()).toBe(200)
  })

  it('is erased by a key of its own, and by no other', async () => {
    const { api, number, known } = await disabledAtForm({ config: { apiKeys } })
    const before = await known()
    expect(before.length).toBeGreaterThan(3)
    await api.post('/v1/destinations/erase', { to: number }, as(KEYS.admin))
    expect(await known()).toEqual(before)
    expect((await api.post('/v1/destinations/erase', { to: number }, as(formAdmin))).status).toBe(204)
    expect(await known()).toEqual([])
  })

  it('is bound again and erased by anybody where there are no keys', async () => {
    const bound = await disabledAtForm()
    await bound.api.post(REBIND, { to: bound.number })
    expect(await bound.check()).toBe(200)
    const erased = await disabledAtForm()
    await erased.api.post('/v1/destinations/erase', { to: erased.number })
    expect(await erased.known()).toEqual([])
  })

  it('is all its key is for', async () => {
    const { api, number } = await disabledAtForm({ config: { apiKeys } })
    for (const response of [
      await api.post('/v1/verifications', { to: number }, as(formAdmin)),
      await api.post('/v1/checks', { to: number, code: '123456' }, as(formAdmin)),
      await api.get(`/v1/verifications/${api.enqueued[0]?.verification}`, as(formAdmin)),
    ])
      await expectProblem(response, 403, 'insufficient_scope')
  })
})
