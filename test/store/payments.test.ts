/**
 * Five wrong codes for payments of a number in a row, whatever CHECKS_MAX says and over however many payments, then none
 * for fifteen minutes: RTS (EU) 2018/389 Art. 4(3)(b). On a real Redis.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { type Context, parseContext } from '#verification/context.ts'
import type { Destination } from '#verification/destination.ts'
import type { Application, Purpose, VerificationId } from '#verification/verification.ts'

const connection = useRedis()
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const PAYMENT = paymentOf('1249.90')
const ANOTHER = paymentOf('3')
const OTHER = 'other' as Purpose
const BLOCKED = { kind: 'refused', refusal: 'payment_blocked', limit: 'number_wrong_payment' }
/** Nothing else stops anything here. */
const ALONE = {
  checksMax: 10,
  wrongCheckLimits: [],
  sendLimits: [],
  rules: [],
  guessRules: [],
  resendWaitsMs: [0, 0],
}
let prefix = ''

function paymentOf(amount: string): Context {
  const context = parseContext({ amount, currency: 'EUR', payee: 'Corner Shop' })
  if (!context) throw new Error('No payment')
  return context
}

function newStore(overrides = {}) {
  const store = storeOn(connection.redis, { ...ALONE, ...overrides })
  prefix = store.prefix
  const destination = freshDestination()
  const key = store.keys.wrongPayments(APPLICATION, store.vault.tagDestination(destination))
  async function miss(id: VerificationId, times: number) {
    const code = wrongFor(await store.codeFor(id))
    const answers = []
    for (let time = 0; time < times; time++)
      answers.push(await store.verifications.check({ application: APPLICATION, id, code, context: PAYMENT }))
    return answers
  }
  async function approve(id: VerificationId, payment: Context | null = PAYMENT) {
    const code = await store.codeFor(id)
    return store.verifications.check({
      application: APPLICATION,
      id,
      code,
      ...(payment ? { context: payment } : {}),
    })
  }
  const pay = (more = {}, to: Destination = destination) =>
    store.verifications.start(store.requestFor(to, { context: PAYMENT, ...more }))
  return {
    ...store,
    destination,
    key,
    miss,
    approve,
    pay,
    begin: async (more = {}) => (await store.start(destination, { context: PAYMENT, ...more })).id,
  }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('wrong codes for a payment', () => {
  it('are five, though CHECKS_MAX is ten, and say so from the start', async () => {
    const s = newStore()
    const started = await s.start(s.destination, { context: PAYMENT })
    expect(started.checksLeft).toBe(5)
    expect(await s.verifications.read(APPLICATION, started.id)).toMatchObject({ checksLeft: 5 })
    expect(await s.pay()).toMatchObject({ kind: 'sent_again', checksLeft: 5 })
    const left = (await s.miss(started.id, 5)).map((one) => 'checksLeft' in one && one.checksLeft)
    expect(left).toEqual([4, 3, 2, 1, 0])
    expect((await s.hash(started.id)).status).toBe('exhausted')
  })

  it('are what CHECKS_MAX says where that is less, and ten where there is no payment', async () => {
    const strict = newStore({ checksMax: 2 })
    expect(await strict.miss(await strict.begin(), 2)).toMatchObject([{ checksLeft: 1 }, { checksLeft: 0 }])
    const s = newStore()
    const { id, checksLeft } = await s.start(s.destination)
    expect(checksLeft).toBe(10)
    expect((await s.miss(id, 10)).at(-1)).toMatchObject({ checksLeft: 0 })
    expect(await s.pay()).toMatchObject({ kind: 'started' })
  })

  it('are five over several payments: a new one gives none back, and ends with the fifth', async () => {
    const s = newStore()
    await s.miss(await s.begin(), 3)
    const second = await s.begin({ context: ANOTHER })
    expect(await s.miss(second, 2)).toMatchObject([{ checksLeft: 1 }, { checksLeft: 0 }])
    expect((await s.hash(second)).status).toBe('exhausted')
    expect(await s.pay()).toMatchObject(BLOCKED)
  })

  it('count from zero after an approval, and only after one of a payment', async () => {
    const s = newStore()
    await s.miss(await s.begin(), 3)
    const { id } = await s.start(s.destination, { purpose: OTHER })
    expect(await s.approve(id, null)).toMatchObject({ verdict: 'approved' })
    expect(await connection.redis.get(s.key)).toBe('3')
    expect(await s.approve(await s.begin())).toMatchObject({ verdict: 'approved' })
    expect(await connection.redis.exists(s.key)).toBe(0)
    await s.miss(await s.begin(), 4)
    expect(await s.pay()).toMatchObject({ kind: 'sent_again' })
  })

  it('that are fewer than five are remembered for a day', async () => {
    const s = newStore()
    await s.miss(await s.begin(), 4)
    expect(await connection.redis.pttl(s.key)).toBeGreaterThan(DAY_MS - MINUTE_MS)
  })
})

describe('after the fifth', () => {
  async function blocked() {
    const s = newStore()
    const other = await s.begin({ purpose: OTHER })
    const id = await s.begin()
    await s.miss(id, 5)
    return { s, other, id }
  }

  it('payments of the number are refused for fifteen minutes, to start, to send again and to check', async () => {
    const { s, other } = await blocked()
    const answers = [
      await s.pay(),
      await s.pay({ purpose: 'third', context: ANOTHER }),
      await s.verifications.resend(APPLICATION, other),
      await s.approve(other),
    ]
    for (const answer of answers) {
      expect(answer).toMatchObject(BLOCKED)
      const wait = 'retryAfterMs' in answer ? Number(answer.retryAfterMs) : 0
      expect(wait).toBeGreaterThan(14 * MINUTE_MS)
      expect(wait).toBeLessThanOrEqual(15 * MINUTE_MS)
    }
    expect(await s.hash(other)).toMatchObject({ status: 'pending', wrong: '0', sends: '1' })
  })

  it('what is no payment goes on, and so do other numbers and other applications', async () => {
    const { s } = await blocked()
    expect(await s.start(s.destination, { purpose: 'login' as Purpose })).toMatchObject({ kind: 'started' })
    expect(await s.pay({}, freshDestination())).toMatchObject({ kind: 'started' })
    expect(await s.pay({ application: 'bank' as Application })).toMatchObject({ kind: 'started' })
  })

  it('of the fifteen minutes the five begin anew', async () => {
    const { s } = await blocked()
    await connection.redis.pexpire(s.key, 0)
    const id = await s.begin()
    expect((await s.miss(id, 5)).map((one) => 'checksLeft' in one && one.checksLeft)).toEqual([4, 3, 2, 1, 0])
  })

  it('an erased number is not known any more, and one that is bound again stays blocked', async () => {
    const { s } = await blocked()
    await s.destinations.rebind(APPLICATION, s.destination)
    expect(await s.pay()).toMatchObject(BLOCKED)
    await s.destinations.erase(APPLICATION, s.destination)
    expect(await s.pay()).toMatchObject({ kind: 'started' })
  })

  it('a hundred at once were five', async () => {
    const s = newStore()
    const [one, two] = [await s.begin(), await s.begin({ purpose: OTHER })]
    const codes = await Promise.all([one, two].map(async (id) => wrongFor(await s.codeFor(id))))
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        s.verifications.check({
          application: APPLICATION,
          id: [one, two][index % 2] as VerificationId,
          code: codes[index % 2] as never,
        }),
      ),
    )
    expect(answers.filter((one) => 'verdict' in one && one.verdict === 'wrong')).toHaveLength(5)
  })
})

it('a test number is never blocked: its payments take five wrong codes each', async () => {
  const s = newStore()
  const test = { testCode: '123456' as never, held: 'test_number' as const }
  for (const _ of [1, 2]) await s.miss(await s.begin(test), 5)
  expect(await s.approve(await s.begin(test))).toMatchObject({ verdict: 'approved' })
})
