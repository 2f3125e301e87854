/**
 * Codes for a payment (RTS (EU) 2018/389 Art. 5, dynamic linking): bound to amount, currency and payee, kept sealed,
 * and replaced when another payment is asked for. On a real Redis.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { clockedStoreOn, senderAt } from '#test/fixtures/clock.ts'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, rotatedVault, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { type Context, parseContext } from '#verification/context.ts'
import type { Destination } from '#verification/destination.ts'
import { DEFAULT_PURPOSE, type VerificationId } from '#verification/verification.ts'

const connection = useRedis()
const noWait = { resendWaitsMs: [0, 0, 0] }
let prefix = ''

function payment(fields: Partial<Record<keyof Context, string>> = {}): Context {
  const context = parseContext({ amount: '1249.90', currency: 'EUR', payee: 'Corner Shop', ...fields })
  if (!context) throw new Error('No payment')
  return context
}
const PAYMENT = payment()

function newStore(overrides = {}) {
  const store = storeOn(connection.redis, overrides)
  prefix = store.prefix
  return store
}

async function pending(context: Context | undefined, overrides = {}) {
  const store = newStore(overrides)
  const destination = freshDestination()
  const { id } = await store.start(destination, context ? { context } : {})
  return { store, destination, id, code: await store.codeFor(id) }
}

type Begun = Awaited<ReturnType<typeof pending>>

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe.each<[string, (begun: Begun, context?: Context) => ReturnType<Begun['store']['check']>]>([
  [
    'by id',
    ({ store, id, code }, context) =>
      store.verifications.check({ application: APPLICATION, id, code, ...(context ? { context } : {}) }),
  ],
  [
    'by number',
    ({ store, destination, code }, context) =>
      store.verifications.checkDestination({
        application: APPLICATION,
        destination,
        purpose: DEFAULT_PURPOSE,
        code,
        ...(context ? { context } : {}),
      }),
  ],
])('a check %s of the right code', (_, check) => {
  it('for its own payment is approved', async () => {
    expect(await check(await pending(PAYMENT), payment())).toMatchObject({ verdict: 'approved' })
  })

  it('for its own payment with the amount spelled with fewer zeros is approved', async () => {
    const begun = await pending(PAYMENT)
    expect(await check(begun, payment({ amount: '1249.9' }))).toMatchObject({ verdict: 'approved' })
  })

  it.each<[string, Context | undefined, Context | undefined]>([
    ['another amount', PAYMENT, payment({ amount: '1249.91' })],
    ['another currency', PAYMENT, payment({ currency: 'USD' })],
    ['another payee', PAYMENT, payment({ payee: 'Corner shop' })],
    ['no payment', PAYMENT, undefined],
    ['a payment where there is none', undefined, PAYMENT],
  ])('for %s is wrong and counted', async (_case, bound, given) => {
    const begun = await pending(bound)
    expect(await check(begun, given)).toMatchObject({ verdict: 'wrong', checksLeft: 4 })
    expect(await check(begun, bound)).toMatchObject({ verdict: 'approved' })
  })
})

describe('a payment', () => {
  it('reaches the worker as it was spelled, at every attempt', async () => {
    const { store, id } = await pending(PAYMENT, noWait)
    const send = { application: APPLICATION, verification: id, send: 1 }
    expect(await store.deliveries.claim(send, 'one')).toMatchObject({ kind: 'claimed', context: PAYMENT })
    expect(await store.deliveries.claim(send, 'one')).toMatchObject({ kind: 'claimed', context: PAYMENT })
    await store.verifications.resend(APPLICATION, id)
    expect(await store.deliveries.claim({ ...send, send: 2 }, 'two')).toMatchObject({ context: PAYMENT })
  })

  it('of none is no part of a claim', async () => {
    const { store, id } = await pending(undefined)
    const claim = await store.deliveries.claim({ application: APPLICATION, verification: id, send: 1 }, 'one')
    expect(claim).not.toHaveProperty('context')
  })

  it('sealed with a key a worker lacks is given back unsent', async () => {
    const { store, id } = await pending(undefined)
    const own = { application: APPLICATION, id }
    const key = store.keys.verification(APPLICATION, id)
    await connection.redis.hset(key, 'context', rotatedVault.sealContext(PAYMENT, own))
    const claim = await store.deliveries.claim({ application: APPLICATION, verification: id, send: 1 }, 'one')
    expect(claim).toMatchObject({ kind: 'unusable', attempt: 1, reason: 'key_unknown' })
  })

  it('is kept sealed, and gone with the end', async () => {
    const { store, id } = await pending(PAYMENT)
    const kept = JSON.stringify(await store.hash(id))
    for (const plain of ['1249.9', 'EUR', 'Corner']) expect(kept).not.toContain(plain)
    await store.verifications.cancel(APPLICATION, id)
    const hash = await store.hash(id)
    for (const field of ['sealed', 'context', 'context_tag']) expect(hash).not.toHaveProperty(field)
  })

  it.each(['same', 'new'] as const)(
    'asked for again is sent again, with RESEND_CODE=%s',
    async (resendCode) => {
      const { store, destination, id } = await pending(PAYMENT, { ...noWait, resendCode })
      expect(await store.start(destination, { context: payment({ amount: '1249.9' }) })).toMatchObject({
        kind: 'sent_again',
        id,
      })
      await store.verifications.resend(APPLICATION, id)
      const code = await store.codeFor(id)
      const checked = await store.verifications.check({
        application: APPLICATION,
        id,
        code,
        context: PAYMENT,
      })
      expect(checked).toMatchObject({ verdict: 'approved' })
    },
  )
})

describe.each<[string, Context | undefined, Context | undefined]>([
  ['another payment', PAYMENT, payment({ amount: '1' })],
  ['no payment', PAYMENT, undefined],
  ['a payment where there was none', undefined, PAYMENT],
])('a start for %s while one is pending', (_, first, second) => {
  const asked = (context: Context | undefined) => (context ? { context } : {})

  it('replaces it: the old code is dead and its send superseded', async () => {
    const { store, destination, id, code } = await pending(first, noWait)
    const next = await store.start(destination, asked(second))
    expect(next).toMatchObject({ kind: 'started', send: 1, checksLeft: 5 })
    expect(next.id).not.toBe(id)
    expect(await store.hash(id)).toMatchObject({ status: 'canceled', '1:state': 'superseded' })
    const old = { application: APPLICATION, id, code, ...asked(first) }
    expect(await store.verifications.check(old)).toMatchObject({ verdict: 'canceled' })
    const fresh = { application: APPLICATION, id: next.id, code: await store.codeFor(next.id) }
    expect(await store.verifications.check({ ...fresh, ...asked(second) })).toMatchObject({
      verdict: 'approved',
    })
  })

  it('waits for the cooldown as any other', async () => {
    const { store, destination, id } = await pending(first)
    const refused = await store.verifications.start(store.requestFor(destination, asked(second)))
    expect(refused).toMatchObject({ refusal: 'resend_cooldown' })
    expect(await store.hash(id)).toMatchObject({ status: 'pending' })
  })

  it.each([
    ['as after any other', 600_000, 120_000],
    ['until there is nothing left to replace', 300_000, 90_000],
  ])('waits after the last send %s', async (_, codeTtlMs, wait) => {
    const policy = { sendLimits: [], codeTtlMs }
    const store = await clockedStoreOn(connection.redis, { senders: [senderAt(100)], policy })
    prefix = store.prefix
    const destination = freshDestination()
    await store.start(destination, asked(first))
    for (const before of [30_000, 60_000]) {
      await store.passTime(before)
      await store.start(destination, asked(first))
    }
    await store.passTime(120_000)
    expect(await store.start(destination, asked(first))).toMatchObject({ send: 4, sendsLeft: 0 })
    const other = store.requestFor(destination, asked(second))
    expect(await store.verifications.start(other)).toMatchObject({
      refusal: 'resend_cooldown',
      retryAfterMs: wait,
    })
    await store.passTime(wait - 1)
    expect(await store.verifications.start(other)).toMatchObject({ retryAfterMs: 1 })
    await store.passTime(1)
    expect(await store.verifications.start(other)).toMatchObject({ kind: 'started' })
  })

  it('has the sends and wrong codes of its number left, and no more', async () => {
    const sendLimits = [{ name: 'test', max: 2, windowMs: 60_000 }]
    const { store, destination } = await pending(first, { ...noWait, sendLimits })
    await store.start(destination, asked(second))
    expect(await store.verifications.start(store.requestFor(destination, asked(first)))).toMatchObject({
      refusal: 'send_limit',
      limit: 'test',
    })
  })
})

it('of two starts for two payments at once one is pending at the end, and only its code is right', async () => {
  for (let round = 0; round < 50; round++) {
    const store = newStore({ resendWaitsMs: [0, 0, 0], sendLimits: [] })
    const destination = freshDestination()
    const payments = [payment({ amount: '1' }), payment({ amount: '2' })] as const
    const started = await Promise.all(payments.map((context) => store.start(destination, { context })))
    const left = await Promise.all(started.map(async ({ id }) => (await store.hash(id)).status))
    expect(left.toSorted()).toEqual(['canceled', 'pending'])
    const at = left.indexOf('pending')
    const { id } = started[at] ?? { id: '' as VerificationId }
    const code = await store.codeFor(id)
    const check = (context: Context | undefined) =>
      store.verifications.check({ application: APPLICATION, id, code, ...(context ? { context } : {}) })
    expect(await check(payments[1 - at])).toMatchObject({ verdict: 'wrong' })
    expect(await check(payments[at])).toMatchObject({ verdict: 'approved' })
  }
})

describe('an Idempotency-Key', () => {
  it('of a start belongs to its payment', async () => {
    const store = newStore()
    const destination: Destination = freshDestination()
    const request = store.requestFor(destination, { context: PAYMENT, idempotencyKey: 'k' })
    const first = await store.verifications.start(request)
    expect(await store.verifications.start(request)).toEqual(first)
    const other = { ...request, context: payment({ amount: '1' }) }
    expect(await store.verifications.start(other)).toMatchObject({ refusal: 'idempotency_mismatch' })
  })

  it('of a check belongs to its payment', async () => {
    const { store, id, code } = await pending(PAYMENT)
    const request = { application: APPLICATION, id, code: wrongFor(code), idempotencyKey: 'k' }
    await store.verifications.check({ ...request, context: PAYMENT })
    expect(await store.verifications.check(request)).toMatchObject({ refusal: 'idempotency_mismatch' })
  })
})
