/** Challenges for callers of /v1: who needs one is given one, and what is passed on counts once, for its own start. */
import { describe, expect, it } from 'vitest'
import { createCaptcha } from '#captcha/captcha.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { says, siteverify } from '#test/fixtures/siteverify.ts'
import { solve, unsolved } from '#test/fixtures/solve.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import {
  type Api,
  apiOn,
  CHALLENGE_BITS,
  demanding,
  expectProblem,
  type Json,
  jsonOf,
  KEYS,
  WITH_KEYS,
} from './api.ts'
import { complaintsAbout } from './document.ts'

const connection = useRedis()
const START = '/v1/verifications'
const OURS = '+12025550199'

type Proof = { token: string; bits: number }
const proofIn = (body: Json): Proof => body.challenge as Proof

async function challenged(body: Json = {}, options: Parameters<typeof apiOn>[1] = {}) {
  const api = apiOn(connection.redis, { before: demanding, ...options })
  const start = { to: freshDestination(), ...body }
  const refusal = await expectProblem(await api.post(START, start), 428, 'challenge_required')
  const { token, bits } = proofIn(refusal)
  const challenge = { token, solution: solve({ token, bits }) }
  const again = (more: Json = {}, headers = {}) => api.post(START, { ...start, challenge, ...more }, headers)
  return { api, start, refusal, token, bits, challenge, again }
}

const secondOne = async (api: Api, response: Response, code: string) => {
  const { token } = proofIn(await expectProblem(response, 428, code))
  expect(api.enqueued).toEqual([])
  return token
}

describe('a start that needs a challenge', () => {
  it('is 428 and holds one, which lives two minutes', async () => {
    const now = Date.parse('2026-11-24T09:30:00.000Z')
    const { refusal, api } = await challenged({}, { now: () => now })
    expect(refusal.challenge).toEqual({
      kind: 'proof_of_work',
      token: expect.stringMatching(/^v1\./),
      bits: CHALLENGE_BITS,
      expires_at: '2026-11-24T09:32:00.000Z',
    })
    expect(api.enqueued).toEqual([])
    expect(api.lines.at(-1)).toMatchObject({ status: 428, refusal: 'challenge_required' })
  })

  it('is as the document says', async () => {
    const { api, start } = await challenged()
    const response = await api.post(START, start)
    const answer = { status: response.status, body: await response.text(), headers: response.headers }
    const type = 'application/problem+json'
    expect(complaintsAbout({ path: START, method: 'post', type, ...answer })).toEqual([])
  })

  it('is taken with that challenge solved', async () => {
    const { api, again } = await challenged()
    await jsonOf(await again(), 202)
    expect(api.enqueued).toHaveLength(1)
  })

  it('is taken from the same network, whichever of its addresses', async () => {
    const { again } = await challenged({ client_ip: '2001:db8:0:1::1' })
    await jsonOf(await again({ client_ip: '2001:db8:0:1:ffff::2' }), 202)
  })
})

describe('a challenge', () => {
  it('that was used is refused, with another', async () => {
    const { api, again, token, start } = await challenged()
    await jsonOf(await again(), 202)
    api.enqueued.length = 0
    // After a cancel nothing else speaks against the same start.
    const id = api.lines.at(-1)?.verification
    await api.send('DELETE', `${START}/${id}`)
    const other = await secondOne(api, await again(), 'challenge_used')
    expect(other).not.toBe(token)
    const challenge = { token: other, solution: solve({ token: other, bits: CHALLENGE_BITS }) }
    await jsonOf(await api.post(START, { ...start, challenge }), 202)
  })

  it('raced by a hundred starts is good for one', async () => {
    const { api, again } = await challenged({}, { policy: { resendWaitsMs: Array(10).fill(0) } })
    const answers = await Promise.all(Array.from({ length: 100 }, () => again()))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 202)).toHaveLength(1)
    expect(statuses.filter((status) => status === 428)).toHaveLength(99)
    expect(api.enqueued).toHaveLength(1)
  })

  it.each<[string, Json, string]>([
    ['another number', { to: '+12025550199' }, 'challenge_foreign'],
    ['another network', { client_ip: '203.0.113.10' }, 'challenge_foreign'],
    ['the /64 beside it', { client_ip: '2001:db8::1' }, 'challenge_foreign'],
    ['another token', { challenge: { token: 'v1.x', solution: '1' } }, 'challenge_malformed'],
    ['no counter', { challenge: { token: 'x', solution: 'x' } }, 'challenge_malformed'],
  ])('for %s fails, and another is given', async (_, more, reason) => {
    const { api, again, token } = await challenged({ client_ip: '203.0.113.9' })
    expect(await secondOne(api, await again(more), 'challenge_failed')).not.toBe(token)
    expect(api.lines.at(-1)).toMatchObject({ refusal: 'challenge_failed', reason })
  })

  it('given out for no network is not good for one', async () => {
    const { api, again } = await challenged()
    await secondOne(api, await again({ client_ip: '203.0.113.9' }), 'challenge_failed')
  })

  it('that is not solved fails', async () => {
    const { api, again, token, bits } = await challenged()
    const response = await again({ challenge: { token, solution: unsolved({ token, bits }) } })
    await secondOne(api, response, 'challenge_failed')
    expect(api.lines.at(-1)).toMatchObject({ reason: 'challenge_unsolved' })
  })

  it.each([
    [119_999, 202],
    [120_000, 428],
    [120_001, 428],
  ])('after %i ms is answered %i', async (afterMs, status) => {
    let now = 1_795_000_000_000
    const { again } = await challenged({}, { now: () => now })
    now += afterMs
    expect((await again()).status).toBe(status)
  })

  it('of one application is nothing to another', async () => {
    const options = { before: demanding, config: WITH_KEYS }
    const api = apiOn(connection.redis, options)
    const [shop, bank] = [KEYS.shop, KEYS.bank].map((key) => ({ Authorization: `Bearer ${key}` }))
    const start = { to: freshDestination() }
    const { token, bits } = proofIn(await jsonOf(await api.post(START, start, shop), 428))
    const solved = { ...start, challenge: { token, solution: solve({ token, bits }) } }
    await expectProblem(await api.post(START, solved, bank), 428, 'challenge_failed')
    await jsonOf(await api.post(START, solved, shop), 202)
  })

  it('is not used up by a start that is refused for something else', async () => {
    const { api, start, again } = await challenged()
    await jsonOf(await again(), 202)
    const id = api.lines.at(-1)?.verification
    const { token, bits } = proofIn(
      await expectProblem(await api.post(START, start), 428, 'challenge_required'),
    )
    const second = { challenge: { token, solution: solve({ token, bits }) } }
    const cooling = await expectProblem(await again(second), 429, 'resend_cooldown')
    expect(cooling.challenge).toBeUndefined()
    await api.send('DELETE', `${START}/${id}`)
    await jsonOf(await again(second), 202)
  })

  it('that nobody asked for is judged all the same', async () => {
    const api = apiOn(connection.redis)
    const challenge = { token: 'v1.x', solution: '1' }
    await secondOne(api, await api.post(START, { to: freshDestination(), challenge }), 'challenge_failed')
  })
})

describe('an Idempotency-Key with a challenge', () => {
  const KEY = { 'Idempotency-Key': 'order-1' }

  it('answers the first result again, after the challenge was used and has expired', async () => {
    let now = Date.now()
    const { api, again } = await challenged({}, { now: () => now })
    const first = await jsonOf(await again({}, KEY), 202)
    now += 120_000
    expect(await jsonOf(await again({}, KEY), 202)).toEqual(first)
    expect(await jsonOf(await again({ challenge: { token: 'x', solution: '1' } }, KEY), 202)).toEqual(first)
    expect(new Set(api.enqueued.map(({ send }) => send))).toEqual(new Set([1]))
  })

  it('is not remembered by a start that needed one', async () => {
    const { api, start, again } = await challenged()
    await expectProblem(await api.post(START, start, KEY), 428, 'challenge_required')
    await jsonOf(await again({}, KEY), 202)
  })
})

describe('the field', () => {
  it.each<[unknown, string, string]>([
    ['solved', 'challenge', 'must be {token, solution} or {captcha}'],
    [null, 'challenge', 'must be {token, solution} or {captcha}'],
    [{}, 'challenge', 'must be {token, solution} or {captcha}'],
    [{ token: 'x' }, 'challenge', 'must be {token, solution} or {captcha}'],
    [{ token: 'x', solution: 1 }, 'challenge', 'must be {token, solution} or {captcha}'],
    [{ token: 'x', solution: '1', more: 1 }, 'challenge', 'must be {token, solution} or {captcha}'],
    [{ token: 'x'.repeat(129), solution: '1' }, 'challenge.token', 'must be at most 128 characters'],
    [{ token: 'x', solution: '1'.repeat(17) }, 'challenge.solution', 'must be at most 16 characters'],
    [{ captcha: '' }, 'challenge.captcha', 'must not be empty'],
  ])('%j is refused without a word of it', async (challenge, field, problem) => {
    const api = apiOn(connection.redis)
    const body = await expectProblem(
      await api.post(START, { to: freshDestination(), challenge }),
      400,
      'invalid_request',
    )
    expect(body.errors).toEqual([{ field, problem }])
  })
})

describe('a CAPTCHA’s token', () => {
  const settings = { vendor: 'turnstile', siteKey: 'site-key', secret: 'the-secret-of-the-tests' } as const

  async function withVendor(answer: Parameters<typeof siteverify>[0]) {
    const { url, asked } = await siteverify(answer)
    const captcha = createCaptcha({ ...settings, verifyUrl: url })
    const api = apiOn(connection.redis, { before: demanding, captcha })
    const start = (more: Json = {}) =>
      api.post(START, { to: freshDestination(), challenge: { captcha: 'token' }, ...more })
    return { api, asked, start }
  }

  it('that the vendor takes lets a start through, and only one', async () => {
    const { start, asked, api } = await withVendor(says({ success: true }))
    await jsonOf(await start({ client_ip: '203.0.113.9' }), 202)
    expect(asked[0]?.fields).toMatchObject({ response: 'token', remoteip: '203.0.113.9' })
    await expectProblem(await start(), 428, 'challenge_used')
    expect(api.enqueued).toHaveLength(1)
  })

  it('that the vendor refuses fails, and a proof of work is offered', async () => {
    const { start, api } = await withVendor(says({ success: false, 'error-codes': ['timeout-or-duplicate'] }))
    await secondOne(api, await start(), 'challenge_failed')
    expect(api.lines.at(-1)).toMatchObject({ reason: 'captcha_refused' })
  })

  it('while the vendor is in trouble is 503, and nothing is sent', async () => {
    const { start, api } = await withVendor(says({}, 500))
    const response = await start()
    expect(response.headers.get('Retry-After')).toBe('1')
    await expectProblem(response, 503, 'service_unavailable')
    expect(api.enqueued).toEqual([])
    expect(api.lines.at(-1)).toMatchObject({ reason: 'captcha_bad_answer' })
  })

  it('fails where no CAPTCHA is set up', async () => {
    const api = apiOn(connection.redis)
    const response = await api.post(START, { to: freshDestination(), challenge: { captcha: 'token' } })
    await secondOne(api, response, 'challenge_failed')
  })

  it('may be left out for a proof of work', async () => {
    const { url, asked } = await siteverify(says({ success: false }))
    const { again } = await challenged({}, { captcha: createCaptcha({ ...settings, verifyUrl: url }) })
    await jsonOf(await again(), 202)
    expect(asked).toEqual([])
  })
})

describe('a resend by id that needs a challenge', () => {
  const policy = { resendWaitsMs: [0, 0, 0] }
  /** Taken at the first, asked for a challenge from the second on. */
  const rule = { name: 'test', scope: 'application', counts: 'sends', windowMs: 60_000, max: 1 } as const
  const demandingRule = { ...policy, rules: [{ ...rule, mode: 'challenge' as const }] }

  async function asked(body: Json = {}, options: Parameters<typeof apiOn>[1] = {}) {
    const api = apiOn(connection.redis, { policy: demandingRule, ...options })
    const { id, to } = await api.start()
    api.enqueued.length = 0
    const path = `${START}/${id}/sends`
    const refusal = await expectProblem(await api.post(path, body), 428, 'challenge_required')
    const { token, bits } = proofIn(refusal)
    const challenge = { token, solution: solve({ token, bits }) }
    const again = (more: Json = {}) => api.post(path, { ...body, challenge, ...more })
    return { api, id, to, path, token, bits, challenge, again }
  }

  it('is 428 and holds one, as the document says', async () => {
    const { api, path } = await asked()
    const response = await api.send('POST', path)
    const answer = { status: response.status, body: await response.text(), headers: response.headers }
    const type = 'application/problem+json'
    const template = `${START}/{id}/sends`
    expect(complaintsAbout({ path: template, method: 'post', type, ...answer })).toEqual([])
    expect(answer.body).toContain('"limit":"test"')
    expect(api.enqueued).toEqual([])
  })

  it('is taken with it solved, once', async () => {
    const { api, again } = await asked({ client_ip: '203.0.113.9' })
    expect(await jsonOf(await again(), 202)).toMatchObject({ delivery: { send: 2 } })
    expect(api.enqueued.map(({ send }) => send)).toEqual([2])
    api.enqueued.length = 0
    await secondOne(api, await again(), 'challenge_used')
  })

  it('raced by a hundred takes one', async () => {
    const { api, again } = await asked()
    const answers = await Promise.all(Array.from({ length: 100 }, () => again()))
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1)
    expect(api.enqueued).toHaveLength(1)
  })

  it('takes one that was given to a start of the same number, and such a start one of its own', async () => {
    const { api, id, to, challenge } = await asked()
    expect(await jsonOf(await api.post(START, { to, challenge }), 202)).toMatchObject({ id })
    const { token, bits } = proofIn(
      await expectProblem(await api.post(START, { to }), 428, 'challenge_required'),
    )
    const other = { token, solution: solve({ token, bits }) }
    await jsonOf(await api.post(`${START}/${id}/sends`, { challenge: other }), 202)
  })

  it('takes none of another number', async () => {
    const { api, again } = await asked()
    const { token, bits } = proofIn(
      await expectProblem(await api.post(START, { to: freshDestination() }), 428, 'challenge_required'),
    )
    const foreign = { challenge: { token, solution: solve({ token, bits }) } }
    await secondOne(api, await again(foreign), 'challenge_failed')
    expect(api.lines.at(-1)).toMatchObject({ reason: 'challenge_foreign' })
    await jsonOf(await again(), 202)
  })

  it('takes none of another network', async () => {
    const { api, again } = await asked({ client_ip: '203.0.113.9' })
    await secondOne(api, await again({ client_ip: '203.0.113.10' }), 'challenge_failed')
  })

  it('leaves it unused when something else refuses', async () => {
    const waits = { ...demandingRule, resendWaitsMs: [0] }
    const { api, id, to, again, challenge } = await asked({}, { policy: waits })
    await api.store.suppressions.heed({
      keyword: 'stop',
      destination: to,
      sender: OURS,
      agoMs: 0,
      token: 'a',
    })
    await expectProblem(await again(), 403, 'recipient_opted_out')
    await api.store.suppressions.heed({
      keyword: 'start',
      destination: to,
      sender: OURS,
      agoMs: 0,
      token: 'b',
    })
    expect(await jsonOf(await api.post(`${START}/${id}/sends`, { challenge }), 202)).toMatchObject({ id })
  })

  it('takes a CAPTCHA’s token, and asks for it only where the verification exists', async () => {
    const { url, asked: vendor } = await siteverify(says({ success: true }))
    const captcha = createCaptcha({
      vendor: 'turnstile',
      siteKey: 'site-key',
      secret: 'secret',
      verifyUrl: url,
    })
    const { api, again } = await asked({}, { captcha })
    const token = { challenge: { captcha: 'token' } }
    await expectProblem(
      await api.post(`${START}/${'0'.repeat(32)}/sends`, token),
      404,
      'unknown_verification',
    )
    expect(vendor).toEqual([])
    await jsonOf(await again(token), 202)
    expect(vendor).toHaveLength(1)
  })
})
