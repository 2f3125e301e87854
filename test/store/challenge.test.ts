/** A passed challenge on a real Redis: good for exactly one start, and left alone by every start that is refused. */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { PassedChallenge } from '#verification/challenge.ts'
import type { Destination } from '#verification/destination.ts'
import type { Application } from '#verification/verification.ts'

const connection = useRedis()
const LIFE = 120_000
const SKEW = 60_000
let prefix = ''
let given = 0

function newStore(overrides = {}) {
  const store = storeOn(connection.redis, overrides)
  prefix = store.prefix
  const start = (destination: Destination, challenge: PassedChallenge, more = {}) =>
    store.verifications.start(store.requestFor(destination, { challenge, ...more }))
  const usedKeys = () => connection.redis.keys(`{${store.prefix}}:*:c:*`)
  return { ...store, startWith: start, usedKeys }
}

const passed = (leftMs = LIFE): PassedChallenge => {
  given += 1
  return { nonce: `nonce-${given}`, expiresAtMs: Date.now() + leftMs }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('a passed challenge', () => {
  it('is good for one start, and refused at the second', async () => {
    const { startWith } = newStore()
    const challenge = passed()
    expect(await startWith(freshDestination(), challenge)).toMatchObject({ kind: 'started' })
    expect(await startWith(freshDestination(), challenge)).toEqual({
      kind: 'refused',
      refusal: 'challenge_used',
    })
  })

  it.each([
    ['one number', () => freshDestination()],
    ['many numbers', undefined],
  ])('is good for exactly one start when a hundred race with it for %s', async (_, one) => {
    const { startWith, redis, keys } = newStore({ resendWaitsMs: Array(10).fill(0) })
    const challenge = passed()
    const same = one?.()
    const results = await Promise.all(
      Array.from({ length: 100 }, () => startWith(same ?? freshDestination(), challenge)),
    )
    expect(results.filter(({ kind }) => kind !== 'refused')).toHaveLength(1)
    expect(results.filter((result) => result.kind === 'refused').map(({ refusal }) => refusal)).toEqual(
      Array(99).fill('challenge_used'),
    )
    expect(await redis.zcard(keys.agenda(APPLICATION))).toBe(1)
  })

  it('leaves no trace of the starts it was used up for', async () => {
    const { startWith, redis, prefix: own } = newStore()
    const challenge = passed()
    await startWith(freshDestination(), challenge)
    const before = (await redis.keys(`{${own}}:*`)).sort()
    await startWith(freshDestination(), challenge)
    expect((await redis.keys(`{${own}}:*`)).sort()).toEqual(before)
  })

  it('is used by a resend as by a start', async () => {
    const { startWith } = newStore({ resendWaitsMs: [0, 0] })
    const destination = freshDestination()
    const challenge = passed()
    await startWith(destination, passed())
    expect(await startWith(destination, challenge)).toMatchObject({ kind: 'sent_again' })
    expect(await startWith(destination, challenge)).toMatchObject({ refusal: 'challenge_used' })
  })

  it.each(['same', 'new'] as const)('under RESEND_CODE=%s is used once by a resend', async (resendCode) => {
    const { startWith, usedKeys } = newStore({ resendWaitsMs: [0, 0], resendCode })
    const destination = freshDestination()
    await startWith(destination, passed())
    expect(await startWith(destination, passed())).toMatchObject({ kind: 'sent_again', send: 2 })
    expect(await usedKeys()).toHaveLength(2)
  })

  it('of one application is nothing to another', async () => {
    const { startWith } = newStore()
    const challenge = passed()
    await startWith(freshDestination(), challenge)
    const application = 'bank' as Application
    expect(await startWith(freshDestination(), challenge, { application })).toMatchObject({ kind: 'started' })
  })

  it.each([
    [LIFE, LIFE + SKEW],
    [1_000, 1_000 + SKEW],
    [-5_000, SKEW],
  ])(
    'with %i ms left is remembered for %i ms, longer than any clock takes it for good',
    async (left, kept) => {
      const { startWith, redis, keys } = newStore()
      const challenge = passed(left)
      await startWith(freshDestination(), challenge)
      const ttl = await redis.pttl(keys.challenge(APPLICATION, challenge.nonce))
      expect(ttl).toBeGreaterThan(kept - 2_000)
      expect(ttl).toBeLessThanOrEqual(kept)
    },
  )
})

describe('a start that is refused leaves the challenge unused:', () => {
  it('in the cooldown', async () => {
    const { startWith } = newStore()
    const destination = freshDestination()
    await startWith(destination, passed())
    const challenge = passed()
    expect(await startWith(destination, challenge)).toMatchObject({ refusal: 'resend_cooldown' })
    expect(await startWith(freshDestination(), challenge)).toMatchObject({ kind: 'started' })
  })

  it('over the limit of the number', async () => {
    const { startWith, verifications } = newStore({
      sendLimits: [{ name: 'test', max: 1, windowMs: 60_000 }],
    })
    const destination = freshDestination()
    const first = await startWith(destination, passed())
    if (first.kind === 'started') await verifications.cancel(APPLICATION, first.id)
    const challenge = passed()
    expect(await startWith(destination, challenge)).toMatchObject({ refusal: 'send_limit' })
    expect(await startWith(freshDestination(), challenge)).toMatchObject({ kind: 'started' })
  })

  it('with an Idempotency-Key of another request', async () => {
    const { startWith } = newStore()
    const challenge = passed()
    await startWith(freshDestination(), passed(), { idempotencyKey: 'key' })
    const mismatch = await startWith(freshDestination(), challenge, { idempotencyKey: 'key' })
    expect(mismatch).toMatchObject({ refusal: 'idempotency_mismatch' })
    expect(await startWith(freshDestination(), challenge)).toMatchObject({ kind: 'started' })
  })

  it('and so does one that asks for a code to be made first', async () => {
    const { startWith, start, verifications } = newStore({ resendWaitsMs: [] })
    const destination = freshDestination()
    const { id } = await start(destination)
    // Remembered as likely refused: the next start asks the script without a code, and is told to make one.
    await startWith(destination, passed())
    await verifications.cancel(APPLICATION, id)
    expect(await startWith(destination, passed())).toMatchObject({ kind: 'started' })
  })
})

describe('an Idempotency-Key', () => {
  it('gives the first answer again, whatever has become of the challenge', async () => {
    const { startWith } = newStore()
    const destination = freshDestination()
    const challenge = passed()
    const first = await startWith(destination, challenge, { idempotencyKey: 'key' })
    expect(await startWith(destination, challenge, { idempotencyKey: 'key' })).toEqual(first)
    expect(await startWith(destination, passed(), { idempotencyKey: 'key' })).toEqual(first)
  })

  it('can be asked about before anything else', async () => {
    const store = newStore()
    const destination = freshDestination()
    const request = store.requestFor(destination, { idempotencyKey: 'key' })
    expect(await store.verifications.replayStart(request)).toBeUndefined()
    expect(await store.verifications.replayStart(store.requestFor(destination))).toBeUndefined()
    const first = await store.verifications.start(request)
    expect(await store.verifications.replayStart(request)).toEqual(first)
    const other = store.requestFor(freshDestination(), { idempotencyKey: 'key' })
    expect(await store.verifications.replayStart(other)).toMatchObject({ refusal: 'idempotency_mismatch' })
  })
})

it('a start without a challenge writes none', async () => {
  const { start, usedKeys } = newStore()
  await start(freshDestination())
  expect(await usedKeys()).toEqual([])
})
