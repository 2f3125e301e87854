/** Another send of a pending verification, by its id or by starting again: what it answers and what refuses it. */
import { describe, expect, it } from 'vitest'
import type { AppConfig } from '#api/app.ts'
import { DEFAULT_APPLICATION } from '#api/caller.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { parseTestNumber } from '#verification/lists.ts'
import type { VerificationId } from '#verification/verification.ts'
import { apiOn, expectProblem, jsonOf } from './api.ts'

const connection = useRedis()
const START = '/v1/verifications'

describe('a resend', () => {
  it('by id answers 202 with a second send and the same end', async () => {
    const api = apiOn(connection.redis, { policy: { resendWaitsMs: [0, 60_000] } })
    const { id, answer } = await api.start()
    const body = await jsonOf(await api.send('POST', `${START}/${id}/sends`), 202)
    expect(Object.keys(body)).toEqual([...Object.keys(answer), 'sends', 'explain'])
    expect(body).toMatchObject({
      id,
      delivery: { status: 'queued', send: 2 },
      expires_at: answer.expires_at,
      sends_left: 1,
      sends: [
        { send: 1, status: 'superseded' },
        { send: 2, status: 'queued' },
      ],
    })
    expect(api.enqueued.map(({ send }) => send)).toEqual([1, 2])
  })

  it('by starting again is the same verification, not a new one', async () => {
    const api = apiOn(connection.redis, { policy: { resendWaitsMs: [0, 60_000] } })
    const { id, to, answer } = await api.start()
    const again = await jsonOf(await api.post(START, { to }), 202)
    expect(again).toMatchObject({ id, expires_at: answer.expires_at, delivery: { send: 2 }, sends_left: 1 })
    expect(Object.keys(again)).toEqual(Object.keys(answer))
  })
})

type Again = { name: string; policy: object; code: string; byId?: Wait; byNumber: Wait }
type Wait = [least: number, most: number]

describe.each<Again>([
  { name: 'in the cooldown', policy: {}, code: 'resend_cooldown', byId: [29, 30], byNumber: [29, 30] },
  {
    // By id there is nothing to wait for: when there is time for a new verification, this one is too old to be sent.
    name: 'after all its sends',
    policy: { resendWaitsMs: [] },
    code: 'sends_exhausted',
    byNumber: [239, 240],
  },
  {
    name: 'of a number that had its sends',
    policy: { resendWaitsMs: [0], sendLimits: [{ name: 'test', max: 1, windowMs: 600_000 }] },
    code: 'send_limit',
    byId: [599, 600],
    byNumber: [599, 600],
  },
])('another send $name', ({ policy, code, byId, byNumber }) => {
  it.each([
    ['id', byId],
    ['number', byNumber],
  ] as const)(`by %s is refused with 429 ${code}, and a wait where waiting helps`, async (by, wait) => {
    const api = apiOn(connection.redis, { policy })
    const { id, to } = await api.start()
    const response =
      by === 'id' ? await api.send('POST', `${START}/${id}/sends`) : await api.post(START, { to })
    const { retry_after } = await expectProblem(response, 429, code)
    expect(response.headers.get('Retry-After') ?? undefined).toBe(wait && String(retry_after))
    expect(api.enqueued).toHaveLength(1)
    if (!wait) return
    expect(retry_after).toBeGreaterThanOrEqual(wait[0])
    expect(retry_after).toBeLessThanOrEqual(wait[1])
  })
})

it('a resend of a code with too little life left is 409; a start replaces it instead', async () => {
  const api = apiOn(connection.redis, {
    policy: { codeTtlMs: 60_000, sendReserveMs: 60_000, resendWaitsMs: [0] },
  })
  const { id, to } = await api.start()
  const response = await api.send('POST', `${START}/${id}/sends`)
  await expectProblem(response, 409, 'too_late_to_send')
  expect(response.headers.get('Retry-After')).toBeNull()
  expect((await jsonOf(await api.post(START, { to }), 202)).id).not.toBe(id)
})

describe('a resend, once the settings speak against its number,', () => {
  const policy = { resendWaitsMs: [0, 60_000] }
  const none = { allowed: [], denied: [], tests: [] }

  /** An API with other settings on the store of the one that took the start. */
  async function restarted(config: Partial<AppConfig>) {
    const before = apiOn(connection.redis, { policy })
    const started = await before.start()
    const api = apiOn(connection.redis, { policy, same: before.store, config })
    return { ...started, ...api, again: () => api.send('POST', `${START}/${started.id}/sends`) }
  }

  it.each([
    ['on the deny list', { lists: { ...none, denied: ['+1202*'] } }, 403, 'number_denied'],
    ['of a region codes do not go to', { regions: new Set(['CA' as const]) }, 422, 'region_not_allowed'],
  ])('%s, is refused as a start is, and counts for nothing', async (_, config, status, code) => {
    const { again, post, to, enqueued, store, id } = await restarted(config)
    const before = await connection.redis.keys(`${store.prefix}:*`)
    await expectProblem(await again(), status, code)
    await expectProblem(await post(START, { to }), status, code)
    expect(enqueued).toEqual([])
    expect(await connection.redis.keys(`${store.prefix}:*`)).toHaveLength(before.length)
    const sends = await connection.redis.hget(
      store.keys.verification(DEFAULT_APPLICATION, id as VerificationId),
      'sends',
    )
    expect(sends).toBe('1')
  })

  it('says first that the verification has ended', async () => {
    const { again, send, id } = await restarted({ lists: { ...none, denied: ['+1202*'] } })
    await send('DELETE', `${START}/${id}`)
    await expectProblem(await again(), 409, 'verification_ended')
  })

  it('of a test number goes on, to nobody', async () => {
    const tests = [parseTestNumber('+15005550006:123456')].filter((test) => test !== undefined)
    const api = apiOn(connection.redis, { policy, config: { lists: { ...none, tests } } })
    const { id } = await jsonOf(await api.post(START, { to: '+15005550006' }), 202)
    expect(await jsonOf(await api.send('POST', `${START}/${id}/sends`), 202)).toMatchObject({
      delivery: { status: 'suppressed', reason: 'test_number', send: 2 },
    })
  })
})
