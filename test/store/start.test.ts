/** What start and resend promise, shown on a real Redis. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { clockedStoreOn, senderAt } from '#test/fixtures/clock.ts'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { DEFAULT_POLICY } from '#verification/policy.ts'
import type { Application, Purpose } from '#verification/verification.ts'

const connection = useRedis()
const noWait = { resendWaitsMs: [0, 0, 0] }
let prefix = ''

function newStore(overrides = {}) {
  const store = storeOn(connection.redis, overrides)
  prefix = store.prefix
  return store
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('a start', () => {
  it('stores the verification, its first send and a place on the agenda', async () => {
    const store = newStore()
    const started = await store.start(freshDestination())
    expect(started).toMatchObject({ kind: 'started', send: 1, sendsLeft: 3, checksLeft: 5 })
    expect(started.expiresAtMs - started.createdAtMs).toBe(300_000)
    expect((started.nextSendAtMs ?? 0) - started.createdAtMs).toBe(30_000)
    expect(await store.hash(started.id)).toMatchObject({
      status: 'pending',
      wrong: '0',
      sends: '1',
      '1:state': 'queued',
    })
    const due = Number(await connection.redis.zscore(store.keys.agenda(APPLICATION), started.id))
    expect(due - started.createdAtMs).toBe(DEFAULT_POLICY.sweepAfterMs)
  })

  it('keeps neither the code nor the number in clear', async () => {
    const store = newStore()
    const destination = freshDestination()
    const { id } = await store.start(destination)
    const code = await store.codeFor(id)
    // A time is thirteen digits, some of which could be the code's by chance.
    const kept = JSON.stringify(await store.hash(id)).replace(/\b17\d{11}\b/g, 'TIME')
    expect(kept).not.toContain(code)
    expect(kept).not.toContain(destination.slice(1))
    expect((await connection.redis.keys(`{${store.prefix}}:*`)).join()).not.toContain(destination.slice(1))
  })

  it('stays a compact hash, whose fields cost bytes and not objects', async () => {
    const store = newStore(noWait)
    const destination = freshDestination()
    const { id } = await store.start(destination)
    await store.start(destination)
    await store.start(destination)
    expect(await connection.redis.object('ENCODING', store.keys.verification(APPLICATION, id))).toBe(
      'listpack',
    )
  })

  it('is gone with all its keys after the code and the retention', async () => {
    const store = newStore()
    const { id } = await store.start(freshDestination())
    const ttl = await connection.redis.pttl(store.keys.verification(APPLICATION, id))
    expect(ttl).toBeGreaterThan(890_000)
    expect(ttl).toBeLessThanOrEqual(900_000)
  })

  it('of the same number and purpose while one is pending sends the same code again and extends nothing', async () => {
    const store = newStore(noWait)
    const destination = freshDestination()
    const first = await store.start(destination)
    const code = await store.codeFor(first.id)
    const second = await store.start(destination)
    expect(second).toMatchObject({ kind: 'sent_again', id: first.id, send: 2, sendsLeft: 2 })
    expect(second.expiresAtMs).toBe(first.expiresAtMs)
    expect(await store.codeFor(first.id)).toBe(code)
  })

  it('of another purpose or another application is another verification', async () => {
    const store = newStore()
    const destination = freshDestination()
    const ids = await Promise.all([
      store.start(destination),
      store.start(destination, { purpose: 'payment' as Purpose }),
      store.start(destination, { application: 'bank' as Application }),
    ])
    expect(new Set(ids.map(({ id }) => id)).size).toBe(3)
  })

  it('in the cooldown is refused with the time left and leaves no trace', async () => {
    const store = newStore()
    const destination = freshDestination()
    const { id } = await store.start(destination)
    const before = await store.hash(id)
    const refused = await store.verifications.start(store.requestFor(destination))
    expect(refused).toMatchObject({ kind: 'refused', refusal: 'resend_cooldown' })
    expect((refused.kind === 'refused' && refused.retryAfterMs) || 0).toBeGreaterThan(29_000)
    expect(await store.hash(id)).toEqual(before)
    const sends = await connection.redis.get(store.keys.sends(APPLICATION, before.to_tag ?? ''))
    expect(sends).toMatch(/^[0-9a-f]+ [0-9a-f]{32}$/)
  })

  it('after the last send of a verification is refused until a new one may begin', async () => {
    const store = newStore({ ...noWait, sendLimits: [{ name: 'test', max: 10, windowMs: 60_000 }] })
    const destination = freshDestination()
    for (let send = 1; send <= 4; send++) await store.start(destination)
    const refused = await store.verifications.start(store.requestFor(destination))
    expect(refused).toMatchObject({ refusal: 'sends_exhausted' })
    expect((refused.kind === 'refused' && refused.retryAfterMs) || 0).toBeGreaterThan(238_000)
  })

  it.each([
    ['its first minutes', 0],
    ['the end of its life', 80_000],
  ])('after the last send, sent in %s, says exactly when a new one may begin', async (_, lateMs) => {
    const policy = { resendWaitsMs: [60_000], sendLimits: [] }
    const store = await clockedStoreOn(connection.redis, { senders: [senderAt(100)], policy })
    prefix = store.prefix
    const destination = freshDestination()
    const request = store.requestFor(destination)
    await store.start(destination)
    await store.passTime(60_000 + 2 * lateMs)
    await store.start(destination)
    const refused = await store.verifications.start(request)
    const wait = lateMs === 0 ? 180_000 : 60_000
    expect(refused).toMatchObject({ refusal: 'sends_exhausted', retryAfterMs: wait })
    await store.passTime(wait - 1)
    expect(await store.verifications.start(request)).toMatchObject({ kind: 'refused', retryAfterMs: 1 })
    await store.passTime(1)
    expect(await store.verifications.start(request)).toMatchObject({ kind: 'started' })
  })

  it.each([1, 2, 5])('by %i at once for one number is one verification and one send', async (count) => {
    const store = newStore()
    const destination = freshDestination()
    const results = await Promise.all(
      Array.from({ length: count }, () => store.verifications.start(store.requestFor(destination))),
    )
    expect(results.filter(({ kind }) => kind === 'started')).toHaveLength(1)
    expect(results.filter(({ kind }) => kind === 'refused')).toHaveLength(count - 1)
  })

  it('is refused when the number has had its sends, however many verifications they were of', async () => {
    const store = newStore()
    const destination = freshDestination()
    for (let send = 1; send <= 5; send++) {
      const { id } = await store.start(destination)
      await store.verifications.cancel(APPLICATION, id)
    }
    const refused = await store.verifications.start(store.requestFor(destination))
    expect(refused).toMatchObject({ refusal: 'send_limit' })
    expect((refused.kind === 'refused' && refused.retryAfterMs) || 0).toBeGreaterThan(598_000)
  })

  it('gives exactly the limit when two hundred ask at once', async () => {
    const store = newStore({ sendLimits: [{ name: 'test', max: 5, windowMs: 60_000 }] })
    const destination = freshDestination()
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        store.verifications.start(store.requestFor(destination, { purpose: `p${index}` as Purpose })),
      ),
    )
    expect(results.filter(({ kind }) => kind === 'started')).toHaveLength(5)
  })

  it('is refused for a number whose wrong checks are used up: its code could not be checked', async () => {
    const store = newStore({ wrongCheckLimits: [{ name: 'test', max: 1, windowMs: 60_000 }] })
    const destination = freshDestination()
    const { id } = await store.start(destination)
    await store.check(id, wrongFor(await store.codeFor(id)))
    const refused = await store.verifications.start(store.requestFor(destination))
    expect(refused).toMatchObject({ refusal: 'check_limit' })
  })

  it('takes the place of one with too little life left for another message', async () => {
    const store = newStore({ ...noWait, codeTtlMs: 60_000, sendReserveMs: 60_000 })
    const destination = freshDestination()
    const first = await store.start(destination)
    const second = await store.start(destination)
    expect(second).toMatchObject({ kind: 'started', send: 1 })
    expect(second.id).not.toBe(first.id)
    expect(await store.hash(first.id)).toMatchObject({ status: 'canceled', '1:state': 'superseded' })
  })

  it('waits out the cooldown even when it would take the place of the pending one', async () => {
    const store = newStore({ codeTtlMs: 60_000, sendReserveMs: 60_000 })
    const destination = freshDestination()
    await store.start(destination)
    const refused = await store.verifications.start(store.requestFor(destination))
    expect(refused).toMatchObject({ refusal: 'resend_cooldown' })
  })

  it('after an approval begins anew at once', async () => {
    const store = newStore()
    const destination = freshDestination()
    const first = await store.start(destination)
    await store.check(first.id, await store.codeFor(first.id))
    expect((await store.start(destination)).id).not.toBe(first.id)
  })
})

describe('an Idempotency-Key on a start', () => {
  it('gives a hundred at once one verification with one send', async () => {
    const store = newStore()
    const destination = freshDestination()
    const started = await Promise.all(
      Array.from({ length: 100 }, () => store.start(destination, { idempotencyKey: 'at once' })),
    )
    expect(new Set(started.map(({ id }) => id)).size).toBe(1)
    expect(await store.hash(started[0]?.id ?? ('' as never))).toMatchObject({ sends: '1' })
  })

  it('says an alarm once, not with every repetition', async () => {
    const rule = { name: 'overall', scope: 'overall', counts: 'sends', windowMs: 60_000 } as const
    const store = newStore({ rules: [{ ...rule, max: 1, mode: 'observe' }] })
    const destination = freshDestination()
    expect(await store.start(destination, { idempotencyKey: 'k' })).toMatchObject({
      explain: 'overall=alarm',
    })
    expect(await store.start(destination, { idempotencyKey: 'k' })).toMatchObject({ explain: '' })
  })

  it('answers the first result again and sends nothing', async () => {
    const store = newStore()
    const request = store.requestFor(freshDestination(), { idempotencyKey: 'order-7' })
    const first = await store.verifications.start(request)
    expect(await store.verifications.start(request)).toEqual(first)
    expect(first.kind === 'started' && (await store.hash(first.id)).sends).toBe('1')
  })

  it('with another request is refused', async () => {
    const store = newStore()
    await store.start(freshDestination(), { idempotencyKey: 'order-8' })
    const other = await store.verifications.start(
      store.requestFor(freshDestination(), { idempotencyKey: 'order-8' }),
    )
    expect(other).toMatchObject({ refusal: 'idempotency_mismatch' })
  })

  it('of a refused start is not remembered', async () => {
    const store = newStore({ resendWaitsMs: [60_000] })
    const destination = freshDestination()
    const { id } = await store.start(destination)
    const request = store.requestFor(destination, { idempotencyKey: 'order-9' })
    expect(await store.verifications.start(request)).toMatchObject({ refusal: 'resend_cooldown' })
    await store.verifications.cancel(APPLICATION, id)
    expect(await store.verifications.start(request)).toMatchObject({ kind: 'started' })
  })

  it('belongs to its application', async () => {
    const store = newStore()
    const destination = freshDestination()
    const mine = await store.start(destination, { idempotencyKey: 'same' })
    const theirs = await store.start(destination, {
      idempotencyKey: 'same',
      application: 'bank' as Application,
    })
    expect(theirs.id).not.toBe(mine.id)
  })
})

describe('a resend', () => {
  it('by id sends again and supersedes a send that is still waiting', async () => {
    const store = newStore(noWait)
    const { id } = await store.start(freshDestination())
    expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({ kind: 'sent_again', send: 2 })
    expect(await store.hash(id)).toMatchObject({ '1:state': 'superseded', '2:state': 'queued' })
  })

  it.each([['an unknown verification', '00000000000000000000000000000000', 'unknown_verification']] as const)(
    'of %s is refused',
    async (_, id, refusal) => {
      const store = newStore()
      expect(await store.verifications.resend(APPLICATION, id as never)).toMatchObject({ refusal })
    },
  )

  it('of one that has ended is refused', async () => {
    const store = newStore(noWait)
    const { id } = await store.start(freshDestination())
    await store.verifications.cancel(APPLICATION, id)
    expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({ refusal: 'verification_ended' })
  })

  it('too late for a message to be of use is refused', async () => {
    const store = newStore({ ...noWait, codeTtlMs: 60_000, sendReserveMs: 60_000 })
    const { id } = await store.start(freshDestination())
    expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({ refusal: 'too_late_to_send' })
  })

  it('waits as long as the policy says after each send', async () => {
    const store = newStore({ resendWaitsMs: [0, 40_000, 50_000] })
    const { id } = await store.start(freshDestination())
    const second = await store.verifications.resend(APPLICATION, id)
    expect(second.kind === 'sent_again' && (second.nextSendAtMs ?? 0) - second.nowMs).toBe(40_000)
  })
})

describe('RESEND_CODE=new', () => {
  const fresh = { ...noWait, resendCode: 'new' as const }

  it.each(['start', 'resend'] as const)(
    'kills the old code the moment a %s makes the new one',
    async (road) => {
      const store = newStore(fresh)
      const destination = freshDestination()
      const { id } = await store.start(destination)
      const old = await store.codeFor(id)
      if (road === 'start') await store.start(destination)
      else await store.verifications.resend(APPLICATION, id)
      const code = await store.codeFor(id)
      if (code !== old) expect(await store.check(id, old)).toMatchObject({ verdict: 'wrong', checksLeft: 4 })
      expect(await store.check(id, code)).toMatchObject({ verdict: 'approved' })
    },
  )

  it('is made anew when the verification it was made for is not the pending one', async () => {
    const store = newStore(fresh)
    const destination = freshDestination()
    const { id } = await store.start(destination)
    const before = await store.hash(id)
    // What a start sees that asks just before another one has stored its verification.
    vi.spyOn(connection.redis, 'get').mockResolvedValueOnce(null)
    expect(await store.start(destination)).toMatchObject({ kind: 'sent_again', id })
    const after = await store.hash(id)
    expect(after.sealed).not.toBe(before.sealed)
    expect(after['2:state']).toBe('queued')
  })

  it('holds when many starts race: the code kept is one that opens', async () => {
    const store = newStore({ ...fresh, sendLimits: [{ name: 'test', max: 50, windowMs: 60_000 }] })
    const destination = freshDestination()
    await store.start(destination)
    const results = await Promise.all(
      Array.from({ length: 20 }, () => store.verifications.start(store.requestFor(destination))),
    )
    const again = results.find((result) => result.kind === 'sent_again')
    if (again?.kind !== 'sent_again') throw new Error('none was sent again')
    expect(await store.check(again.id, await store.codeFor(again.id))).toMatchObject({ verdict: 'approved' })
  })
})
