/** Idempotency-Key on start and on check: the same request again has the same answer and does nothing again. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { apiOn, expectProblem, jsonOf, KEYS, WITH_KEYS } from './api.ts'

const connection = useRedis()
const START = '/v1/verifications'
const KEY = { 'Idempotency-Key': 'order-4711' }
const OTHER_KEY = { 'Idempotency-Key': 'order-4712' }
const bearer = (key: string) => ({ Authorization: `Bearer ${key}`, ...KEY })

/** Sends that would really leave: a job of one id is one job. */
const sendsOf = (api: ReturnType<typeof apiOn>) =>
  new Set(api.enqueued.map(({ verification, send }) => `${verification}-${send}`)).size

describe('a start with an Idempotency-Key', () => {
  it('again with the same body is the same answer and one send, even where it would now be refused', async () => {
    const api = apiOn(connection.redis)
    const to = freshDestination()
    const first = await jsonOf(await api.post(START, { to }, KEY), 202)
    const second = await jsonOf(await api.post(START, { to }, KEY), 202)
    expect(second).toStrictEqual(first)
    expect(sendsOf(api)).toBe(1)
    expect(await jsonOf(await api.get(`${START}/${first.id}`), 200)).toMatchObject({ sends: [{ send: 1 }] })
    await expectProblem(await api.post(START, { to }), 429, 'resend_cooldown')
  })

  it('eight times at once is one verification and one send', async () => {
    const api = apiOn(connection.redis)
    const to = freshDestination()
    const responses = await Promise.all(Array.from({ length: 8 }, () => api.post(START, { to }, KEY)))
    const ids = await Promise.all(responses.map(async (response) => (await jsonOf(response, 202)).id))
    expect(new Set(ids).size).toBe(1)
    expect(sendsOf(api)).toBe(1)
  })

  it('in another spelling of the same number is the same request', async () => {
    const api = apiOn(connection.redis)
    const to = freshDestination()
    const first = await jsonOf(await api.post(START, { to }, KEY), 202)
    const spelled = { to: ` ${to.slice(2)}`.trim(), country: 'US' }
    expect(await jsonOf(await api.post(START, spelled, KEY), 202)).toStrictEqual(first)
  })

  it.each([
    ['number', { to: '+12025550143' }],
    ['purpose', { purpose: 'login' }],
    ['locale', { locale: 'de' }],
  ])('again with another %s is refused and sends nothing', async (_, change) => {
    const api = apiOn(connection.redis)
    const body = { to: freshDestination() }
    await jsonOf(await api.post(START, body, KEY), 202)
    await expectProblem(await api.post(START, { ...body, ...change }, KEY), 422, 'idempotency_mismatch')
    expect(api.enqueued).toHaveLength(1)
  })

  it('under another key is another request', async () => {
    const api = apiOn(connection.redis)
    const to = freshDestination()
    await jsonOf(await api.post(START, { to }, KEY), 202)
    await expectProblem(await api.post(START, { to }, OTHER_KEY), 429, 'resend_cooldown')
  })

  it('that was refused is not remembered: once there is room, the same key starts', async () => {
    const api = apiOn(connection.redis)
    const { id, to } = await api.start()
    await expectProblem(await api.post(START, { to }, KEY), 429, 'resend_cooldown')
    await api.send('DELETE', `${START}/${id}`)
    expect((await jsonOf(await api.post(START, { to }, KEY), 202)).id).not.toBe(id)
  })

  it('of one application means nothing to another', async () => {
    const api = apiOn(connection.redis, { config: WITH_KEYS })
    const to = freshDestination()
    const shop = await jsonOf(await api.post(START, { to }, bearer(KEYS.shop)), 202)
    const bank = await jsonOf(await api.post(START, { to }, bearer(KEYS.bank)), 202)
    expect(bank.id).not.toBe(shop.id)
  })
})

describe('a check with an Idempotency-Key', () => {
  it('that was approved is approved again for the one who repeats it, and for nobody else', async () => {
    const api = apiOn(connection.redis)
    const { checks, code } = await api.start()
    const first = await jsonOf(await api.post(checks, { code }, KEY), 200)
    expect(first).toMatchObject({ result: 'approved' })
    expect(await jsonOf(await api.post(checks, { code }, KEY), 200)).toStrictEqual(first)
    expect(await jsonOf(await api.post(checks, { code }, OTHER_KEY), 200)).toMatchObject({
      result: 'already_used',
    })
    expect(await jsonOf(await api.post(checks, { code }), 200)).toMatchObject({ result: 'already_used' })
  })

  it('that was wrong is counted once', async () => {
    const api = apiOn(connection.redis)
    const { checks, wrong } = await api.start()
    for (const _ of [1, 2, 3]) {
      expect(await jsonOf(await api.post(checks, { code: wrong }, KEY), 200)).toMatchObject({
        result: 'wrong',
        checks_left: 4,
      })
    }
    expect(await jsonOf(await api.post(checks, { code: wrong }), 200)).toMatchObject({ checks_left: 3 })
  })

  it('again with another code is refused and not counted, so a key is no way to guess on', async () => {
    const api = apiOn(connection.redis)
    const { id, checks, code, wrong } = await api.start()
    await jsonOf(await api.post(checks, { code: wrong }, KEY), 200)
    await expectProblem(await api.post(checks, { code }, KEY), 422, 'idempotency_mismatch')
    const view = await jsonOf(await api.get(`${START}/${id}`), 200)
    expect(view).toMatchObject({ status: 'pending', checks_left: 4 })
  })

  it('does not carry over to another verification', async () => {
    const api = apiOn(connection.redis)
    const [one, other] = [await api.start(), await api.start()]
    await jsonOf(await api.post(one.checks, { code: one.code }, KEY), 200)
    await expectProblem(await api.post(other.checks, { code: other.code }, KEY), 422, 'idempotency_mismatch')
  })

  it('under the key its start had is a request of its own', async () => {
    const api = apiOn(connection.redis)
    const { id } = await jsonOf(await api.post(START, { to: freshDestination() }, KEY), 202)
    const code = await api.codeOf(String(id))
    expect(await jsonOf(await api.post(`${START}/${id}/checks`, { code }, KEY), 200)).toMatchObject({
      result: 'approved',
    })
  })

  it('by number is replayed too', async () => {
    const api = apiOn(connection.redis)
    const { to, code } = await api.start()
    const first = await jsonOf(await api.post('/v1/checks', { to, code }, KEY), 200)
    expect(await jsonOf(await api.post('/v1/checks', { to, code }, KEY), 200)).toStrictEqual(first)
  })
})

describe('an Idempotency-Key', () => {
  it.each([
    ['empty', '', 400],
    ['of one character', 'a', 202],
    ['of 254 characters', 'k'.repeat(254), 202],
    ['of 255 characters', 'k'.repeat(255), 202],
    ['of 256 characters', 'k'.repeat(256), 400],
    ['with a space inside', 'a b', 400],
    ['outside ASCII', 'caf\u00e9', 400],
  ])('%s gets a start %#', async (_, key, status) => {
    const api = apiOn(connection.redis)
    const response = await api.post(START, { to: freshDestination() }, { 'Idempotency-Key': key })
    if (status === 202) return void (await jsonOf(response, 202))
    const { errors } = await expectProblem(response, 400, 'invalid_request')
    expect(errors).toMatchObject([{ field: 'Idempotency-Key' }])
    expect(api.enqueued).toEqual([])
  })

  it('that is malformed costs a check no try', async () => {
    const api = apiOn(connection.redis)
    const { id, checks, wrong } = await api.start()
    const bad = { 'Idempotency-Key': 'a b' }
    await expectProblem(await api.post(checks, { code: wrong }, bad), 400, 'invalid_request')
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({ checks_left: 5 })
  })
})
