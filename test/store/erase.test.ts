/** What erasing a number leaves: nothing of it for that application, and no message after it. On a real Redis. */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { parseContext } from '#verification/context.ts'
import type { Destination } from '#verification/destination.ts'
import type { Application, Purpose } from '#verification/verification.ts'

const connection = useRedis()
const purpose = (name: string) => name as Purpose
let prefix = ''

function newStore(overrides = {}) {
  const store = storeOn(connection.redis, { resendWaitsMs: [0, 0, 0], ...overrides })
  prefix = store.prefix
  return {
    ...store,
    erase: (destination: Destination, application = APPLICATION) =>
      store.destinations.erase(application, destination),
    /** Every key of an application. */
    keysOf: async (application = APPLICATION) =>
      (await connection.redis.keys(`{${store.prefix}}:${application}:*`)).sort(),
  }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

/** One of each fate: pending, approved, canceled, exhausted, replaced by one for a payment, sent again, sent to. */
async function liveAFullLife(store: ReturnType<typeof newStore>, destination: Destination) {
  const approved = await store.start(destination, { purpose: purpose('approved') })
  await store.check(approved.id, await store.codeFor(approved.id))
  const canceled = await store.start(destination, { purpose: purpose('canceled') })
  await store.verifications.cancel(APPLICATION, canceled.id)
  const exhausted = await store.start(destination, { purpose: purpose('exhausted') })
  const wrong = wrongFor(await store.codeFor(exhausted.id))
  for (let check = 1; check <= 5; check++) await store.check(exhausted.id, wrong)
  await store.start(destination)
  const context = parseContext({ amount: '5', currency: 'EUR', payee: 'Shop' })
  return store.start(destination, context ? { context } : {})
}

describe('erasing a number', () => {
  it('leaves no key of its application about it, whatever became of its verifications', async () => {
    const store = newStore({ sendLimits: [{ name: 'test', max: 10, windowMs: 86_400_000 }] })
    const destination = freshDestination()
    await liveAFullLife(store, destination)
    expect((await store.keysOf()).length).toBeGreaterThan(10)
    await store.erase(destination)
    expect(await store.keysOf()).toEqual([])
  })

  it('leaves the answers of an Idempotency-Key for their day, in which no number can be found', async () => {
    const store = newStore()
    const destination = freshDestination()
    const { id } = await store.start(destination, { idempotencyKey: 'k' })
    await store.check(id, await store.codeFor(id), 'k')
    await store.erase(destination)
    const left = await store.keysOf()
    expect(left).toHaveLength(2)
    const kept = await Promise.all(left.map((key) => connection.redis.get(key)))
    const said = [...left, ...kept].join()
    for (const known of [
      destination.slice(1),
      destination.slice(-4),
      store.vault.tagDestination(destination),
    ])
      expect(said.replaceAll(id, 'ID').replace(/\b17\d{11}\b/g, 'TIME')).not.toContain(known)
    for (const key of left) expect(await connection.redis.pttl(key)).toBeLessThanOrEqual(86_400_000)
  })

  it('leaves other numbers and other applications as they were', async () => {
    const store = newStore()
    const [destination, other] = [freshDestination(), freshDestination()]
    await store.start(other)
    const before = await store.keysOf()
    const application = 'bank' as Application
    const theirs = await store.start(destination, { application })
    await store.start(destination)
    await store.erase(destination)
    expect(await store.keysOf()).toEqual(before)
    expect(await store.verifications.read(application, theirs.id)).toMatchObject({ status: 'pending' })
  })

  it('that was never seen, or was erased before, changes nothing', async () => {
    const store = newStore()
    await store.erase(freshDestination())
    expect(await store.keysOf()).toEqual([])
  })

  it('makes it a number like any other: it starts at once, with every budget whole', async () => {
    const store = newStore({
      sendLimits: [{ name: 'test', max: 2, windowMs: 86_400_000 }],
      wrongInARowMax: 1,
    })
    const destination = freshDestination()
    const { id } = await store.start(destination)
    await store.start(destination)
    await store.check(id, wrongFor(await store.codeFor(id)))
    await store.erase(destination)
    const next = await store.start(destination)
    expect(next).toMatchObject({ kind: 'started', send: 1, sendsLeft: 3, checksLeft: 5 })
    expect(await store.check(next.id, await store.codeFor(next.id))).toMatchObject({ verdict: 'approved' })
  })
})

describe('after a number was erased', () => {
  it('its code is unknown, its sends are closed, and no sweep brings them', async () => {
    const store = newStore({ sweepAfterMs: 0 })
    const destination = freshDestination()
    const { id } = await store.start(destination)
    const code = await store.codeFor(id)
    await store.erase(destination)
    expect(await store.check(id, code)).toMatchObject({ refusal: 'unknown_verification' })
    expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({
      refusal: 'unknown_verification',
    })
    const send = { application: APPLICATION, verification: id, send: 1 }
    expect(await store.deliveries.claim(send, 'late')).toEqual({ kind: 'closed', why: 'gone' })
    expect(await store.deliveries.sweep(APPLICATION, 10)).toEqual({ looked: 0, sends: [] })
    expect(await store.keysOf()).toEqual([])
  })

  it('what a worker had in hand is recorded nowhere and brings nothing back', async () => {
    const store = newStore()
    const destination = freshDestination()
    const { id } = await store.start(destination)
    const send = { application: APPLICATION, verification: id, send: 1 }
    await store.deliveries.claim(send, 'mine')
    await store.erase(destination)
    const outcome = { kind: 'accepted', messageId: 'm1' } as const
    expect(await store.deliveries.record(send, { token: 'mine', outcome, waitMs: 0 })).toEqual({
      kind: 'stale',
    })
    expect(await store.deliveries.takeReceipt(send, { messageId: 'm1', state: 'delivered' })).toEqual({
      kind: 'gone',
    })
    expect(await store.keysOf()).toEqual([])
  })
})

describe('erasing a number, a hundred times', () => {
  const rounds = Array.from({ length: 100 }, (_, round) => round)

  it('while it starts leaves all of the new verification or nothing, and erases all of it the next time', async () => {
    const store = newStore({ rules: [] })
    for (const _ of rounds) {
      const destination = freshDestination()
      await store.start(destination)
      const [{ id }] = await Promise.all([
        store.start(destination, { purpose: purpose('other') }),
        store.erase(destination),
      ])
      const there = (await store.verifications.read(APPLICATION, id)) !== undefined
      // Hash, pointer, list of sends and agenda; or not one of them.
      expect(await store.keysOf()).toHaveLength(there ? 4 : 0)
      await store.erase(destination)
      expect(await store.keysOf()).toEqual([])
    }
  })

  it('while a worker claims gives the claim before it or none, and nothing is left', async () => {
    const store = newStore({ rules: [] })
    for (const round of rounds) {
      const destination = freshDestination()
      const { id } = await store.start(destination)
      const send = { application: APPLICATION, verification: id, send: 1 }
      const order = [() => store.deliveries.claim(send, 'mine'), () => store.erase(destination)]
      const results = await Promise.all((round % 2 === 0 ? order : order.toReversed()).map((run) => run()))
      const claim = results.find((result) => result !== undefined)
      if (claim?.kind === 'closed') expect(claim.why).toBe('gone')
      else expect(claim?.kind).toBe('claimed')
      expect(await store.keysOf()).toEqual([])
    }
  })

  it('while its code is checked approves before it or knows nothing, and nothing is left', async () => {
    const store = newStore({ rules: [] })
    for (const round of rounds) {
      const destination = freshDestination()
      const { id } = await store.start(destination)
      const code = await store.codeFor(id)
      const typed = round % 2 === 0 ? code : wrongFor(code)
      const [checked] = await Promise.all([store.check(id, typed), store.erase(destination)])
      if (checked.kind === 'refused') expect(checked.refusal).toBe('unknown_verification')
      else expect(checked.verdict).toBe(round % 2 === 0 ? 'approved' : 'wrong')
      expect(await store.keysOf()).toEqual([])
    }
  })
})
