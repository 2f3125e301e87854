/** Start, read, send again and cancel over HTTP: what each answers, to the key, and what each refusal says. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { newVerificationId } from '#verification/verification.ts'
import { apiOn, expectProblem, type Json, jsonOf } from './api.ts'

const connection = useRedis()
const START = '/v1/verifications'
const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const ID = expect.stringMatching(/^[0-9a-f]{32}$/)

const msBetween = (body: Json, from: string, to: string) =>
  Date.parse(String(body[to])) - Date.parse(String(body[from]))

describe('a start', () => {
  it('answers 202 with the verification and nothing more, and hands one send to the queue', async () => {
    const api = apiOn(connection.redis)
    const to = freshDestination()
    const response = await api.post(START, { to })
    const body = await jsonOf(response, 202)
    expect(body).toStrictEqual({
      id: ID,
      to: `+*******${to.slice(-4)}`,
      channel: 'sms',
      locale: 'en',
      purpose: 'default',
      status: 'pending',
      delivery: { status: 'queued', send: 1, attempts: 0, updated_at: ISO },
      created_at: ISO,
      expires_at: ISO,
      next_send_at: ISO,
      sends_left: 3,
      checks_left: 5,
    })
    expect(msBetween(body, 'created_at', 'expires_at')).toBe(300_000)
    expect(msBetween(body, 'created_at', 'next_send_at')).toBe(30_000)
    expect(response.headers.get('Content-Type')).toBe('application/json')
    expect(response.headers.get('Location')).toBe(`/v1/verifications/${body.id}`)
    expect(api.enqueued).toEqual([{ application: 'default', verification: body.id, send: 1 }])
  })

  it('takes every field and says back what it understood', async () => {
    const api = apiOn(connection.redis)
    const fields = {
      country: 'US',
      channel: 'sms',
      locale: 'fr-CA',
      purpose: 'login',
      client_ip: '203.0.113.9',
    }
    const body = await jsonOf(await api.post(START, { to: freshDestination().slice(2), ...fields }), 202)
    expect(body).toMatchObject({ channel: 'sms', locale: 'fr', purpose: 'login' })
  })

  it('in a language without a template is written in English, and says so', async () => {
    const api = apiOn(connection.redis)
    expect(
      await jsonOf(await api.post(START, { to: freshDestination(), locale: 'sv-SE' }), 202),
    ).toMatchObject({
      locale: 'en',
    })
  })

  it.each([
    ['+1 (202) 555', 'invalid_number'],
    ['+12025550143 ext. 5', 'invalid_number'],
    ['2025550143', 'invalid_number'],
    ['911', 'short_number'],
    ['+19002345678', 'premium_number'],
    ['+18002345678', 'toll_free_number'],
    ['+447012345678', 'unsupported_number_type'],
    ['+442079460000', 'landline_number'],
    ['+18762345678', 'region_not_allowed'],
    ['+4915112345678', 'region_not_allowed'],
  ])('for %s is refused with %s and nothing is sent', async (to, code) => {
    const api = apiOn(connection.redis)
    await expectProblem(await api.post(START, { to }), 422, code)
    expect(api.enqueued).toEqual([])
    expect(await connection.redis.keys(`{${api.store.prefix}}:*`)).toEqual([])
  })

  it('reads the same digits anew for every country, and for none', async () => {
    const api = apiOn(connection.redis, { config: { regions: new Set(['US', 'GB']) } })
    const to = '7400 123456'
    expect(await jsonOf(await api.post(START, { to, country: 'GB' }), 202)).toMatchObject({
      to: '+********3456',
    })
    await expectProblem(await api.post(START, { to }), 422, 'invalid_number')
    await expectProblem(await api.post(START, { to, country: 'US' }), 422, 'invalid_number')
    await expectProblem(await api.post(START, { to, country: 'GB' }), 429, 'resend_cooldown')
  })
})

describe('a verification read', () => {
  it('has the same keys as its start, and its sends', async () => {
    const api = apiOn(connection.redis)
    const { id, answer } = await api.start()
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toStrictEqual({
      ...answer,
      sends: [
        {
          send: 1,
          status: 'queued',
          queued_at: answer.created_at,
          updated_at: answer.created_at,
          attempts: 0,
          timeline: [],
          possible_duplicate: false,
        },
      ],
      explain: [],
    })
  })

  it('shows how its send is doing: state, reason, message id', async () => {
    const api = apiOn(connection.redis)
    const { id } = await api.start()
    const send = api.enqueued[0]
    if (!send) throw new Error('nothing was enqueued')
    await api.store.deliveries.claim(send, 'token')
    const rejected = { kind: 'rejected', reason: 'refused_by_provider' } as const
    await api.store.deliveries.record(send, { token: 'token', outcome: rejected, waitMs: 0 })
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({
      delivery: { status: 'rejected', send: 1, attempts: 1, reason: 'refused_by_provider' },
      sends: [{ status: 'rejected', attempts: 1, reason: 'refused_by_provider' }],
    })
  })

  it('has ended: no send, no check and no next send are left, and no code or number stays', async () => {
    const api = apiOn(connection.redis)
    const { id, code, checks } = await api.start()
    await api.post(checks, { code })
    const body = await jsonOf(await api.get(`${START}/${id}`), 200)
    expect(body).toMatchObject({ status: 'approved', sends_left: 0, checks_left: 0, next_send_at: null })
    await expect(api.codeOf(id)).rejects.toThrow('No sealed code')
  })

  it('whose time is over reads as expired', async () => {
    const api = apiOn(connection.redis, { policy: { codeTtlMs: 0 } })
    const { id } = await jsonOf(await api.post(START, { to: freshDestination() }), 202)
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({ status: 'expired' })
  })
})

describe('a cancellation', () => {
  it('answers 204 without a body, again and again, and the right code is worth nothing', async () => {
    const api = apiOn(connection.redis)
    const { id, code, checks } = await api.start()
    for (const _ of [1, 2]) {
      const response = await api.send('DELETE', `${START}/${id}`)
      expect([response.status, await response.text()]).toEqual([204, ''])
    }
    expect(await jsonOf(await api.post(checks, { code }), 200)).toMatchObject({ result: 'canceled' })
  })

  it.each([
    ['DELETE', ''],
    ['POST', '/sends'],
  ])('or a resend of an approved verification is 409: %s %s', async (method, path) => {
    const api = apiOn(connection.redis)
    const { id, code, checks } = await api.start()
    await api.post(checks, { code })
    await expectProblem(await api.send(method, `${START}/${id}${path}`), 409, 'verification_ended')
  })
})

describe.each([
  ['a stranger’s id', newVerificationId() as string],
  ['no id at all', 'abc'],
  ['an id in capitals', newVerificationId().toUpperCase()],
  ['a broken escape', '%E0%A4%A'],
])('%s', (_, id) => {
  it.each([
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/sends'],
    ['POST', '/checks'],
  ])('is an unknown verification: %s %s', async (method, path) => {
    const api = apiOn(connection.redis)
    const body = path === '/checks' ? { body: JSON.stringify({ code: '012345' }) } : {}
    const headers = { 'Content-Type': 'application/json' }
    const response = await api.app.request(`${START}/${id}${path}`, { method, headers, ...body })
    await expectProblem(response, 404, 'unknown_verification')
  })
})

describe('a call', () => {
  const calling = () =>
    apiOn(connection.redis, { config: { channels: ['sms', 'call'], regions: new Set(['US', 'GB']) } })
  const LANDLINE = '+442079460000'

  it('is refused where no provider can call', async () => {
    const api = apiOn(connection.redis)
    await expectProblem(
      await api.post(START, { to: freshDestination(), channel: 'call' }),
      422,
      'channel_unavailable',
    )
    expect(api.enqueued).toEqual([])
    expect(await connection.redis.keys(`${api.store.prefix}:*`)).toEqual([])
  })

  it('is taken where one can, and says so', async () => {
    const api = calling()
    const answer = await jsonOf(await api.post(START, { to: freshDestination(), channel: 'call' }), 202)
    expect(answer).toMatchObject({ channel: 'call', delivery: { status: 'queued' } })
    expect(await jsonOf(await api.get(`${START}/${answer.id}`), 200)).toMatchObject({ channel: 'call' })
  })

  it('reaches a landline, which no SMS does, and is checked by its number', async () => {
    const api = calling()
    await expectProblem(await api.post(START, { to: LANDLINE }), 422, 'landline_number')
    const { id } = await jsonOf(await api.post(START, { to: LANDLINE, channel: 'call' }), 202)
    const code = await api.codeOf(String(id))
    expect(await jsonOf(await api.post('/v1/checks', { to: LANDLINE, code }), 200)).toMatchObject({
      result: 'approved',
    })
  })

  it('reaches no premium number', async () => {
    await expectProblem(
      await calling().post(START, { to: '+19002345678', channel: 'call' }),
      422,
      'premium_number',
    )
  })

  it('is no way to send a pending code by another channel than it began with', async () => {
    const api = apiOn(connection.redis, {
      config: { channels: ['sms', 'call'] },
      policy: { resendWaitsMs: [0, 0, 0] },
    })
    const { to } = await api.start()
    expect(await jsonOf(await api.post(START, { to, channel: 'call' }), 202)).toMatchObject({
      channel: 'sms',
    })
  })
})
