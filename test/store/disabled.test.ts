/** Wrong codes in a row: what counts, what resets, and what a disabled number still does. On a real Redis. */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import type { Destination } from '#verification/destination.ts'
import type { Application, Purpose } from '#verification/verification.ts'

const connection = useRedis()
const YEAR_MS = 365 * 24 * 3_600_000
/** Nothing else stops a row here. */
const ALONE = { wrongCheckLimits: [], sendLimits: [], rules: [], guessRules: [], resendWaitsMs: [0, 0, 0] }
const DISABLED = { kind: 'refused', refusal: 'number_disabled', limit: 'number_wrong_in_a_row' }
let prefix = ''

function newStore(wrongInARowMax: number, overrides = {}) {
  const store = storeOn(connection.redis, { ...ALONE, wrongInARowMax, ...overrides })
  prefix = store.prefix
  return { ...store, rowKey: (to: Destination) => rowKey(store, to) }
}

type Store = ReturnType<typeof newStore>

function rowKey(store: Pick<Store, 'keys' | 'vault'>, destination: Destination): string {
  return store.keys.wrongInARow(APPLICATION, store.vault.tagDestination(destination))
}

/** One wrong code each for so many verifications of the number, one after the other. */
async function missInARow(store: Store, destination: Destination, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    const { id } = await store.start(destination)
    await store.check(id, wrongFor(await store.codeFor(id)))
    await store.verifications.cancel(APPLICATION, id)
  }
}

async function disabled(overrides = {}) {
  const store = newStore(2, overrides)
  const destination = freshDestination()
  await missInARow(store, destination, 1)
  const { id } = await store.start(destination)
  const code = await store.codeFor(id)
  const last = await store.check(id, wrongFor(code))
  return { store, destination, id, code, last }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('a row of wrong codes', () => {
  it.each([
    [2, 'started'],
    [3, 'refused'],
    [4, 'refused'],
  ])('of %i, over verifications of their own, where three disable: a start is %s', async (times, kind) => {
    const store = newStore(3)
    const destination = freshDestination()
    await missInARow(store, destination, Math.min(times, 3))
    if (times > 3) await connection.redis.incr(store.rowKey(destination))
    const next = await store.verifications.start(store.requestFor(destination))
    expect(next.kind).toBe(kind)
    if (next.kind === 'refused') expect(next).toEqual(DISABLED)
  })

  it('is counted for a year from its last wrong code', async () => {
    const store = newStore(3)
    const destination = freshDestination()
    await missInARow(store, destination, 1)
    await connection.redis.pexpire(store.rowKey(destination), 1_000)
    await missInARow(store, destination, 1)
    const ttl = await connection.redis.pttl(store.rowKey(destination))
    expect(ttl).toBeGreaterThan(YEAR_MS - 60_000)
    expect(ttl).toBeLessThanOrEqual(YEAR_MS)
  })

  it('ends with an approval, which leaves nothing of it', async () => {
    const store = newStore(3)
    const destination = freshDestination()
    for (let round = 0; round < 3; round++) {
      await missInARow(store, destination, 2)
      const { id } = await store.start(destination)
      expect(await store.check(id, await store.codeFor(id))).toMatchObject({ verdict: 'approved' })
      expect(await connection.redis.exists(store.rowKey(destination))).toBe(0)
    }
  })

  it('goes on over resends, purposes and processes', async () => {
    const store = newStore(3)
    const destination = freshDestination()
    const { id } = await store.start(destination)
    await store.check(id, wrongFor(await store.codeFor(id)))
    await store.verifications.resend(APPLICATION, id)
    await store.check(id, wrongFor(await store.codeFor(id)))
    const policy = { ...ALONE, wrongInARowMax: 3 }
    const other = storeOn(connection.redis, policy, { prefix: store.prefix, vault: store.vault })
    const theirs = await other.start(destination, { purpose: 'payment' as Purpose })
    await other.check(theirs.id, wrongFor(await other.codeFor(theirs.id)))
    expect(await store.check(id, await store.codeFor(id))).toEqual(DISABLED)
  })

  it('is no other application’s and no other number’s', async () => {
    const { store, destination } = await disabled()
    expect(await store.start(freshDestination())).toMatchObject({ kind: 'started' })
    const application = 'bank' as Application
    expect(await store.start(destination, { application })).toMatchObject({ kind: 'started' })
  })

  it('takes exactly its number when two hundred wrong codes come at once', async () => {
    const store = newStore(20)
    const destination = freshDestination()
    const begun = await Promise.all(
      Array.from({ length: 40 }, (_, index) => store.start(destination, { purpose: `p${index}` as Purpose })),
    )
    const guesses = await Promise.all(
      begun.map(async ({ id }) => ({ id, code: wrongFor(await store.codeFor(id)) })),
    )
    const results = await Promise.all(
      Array.from({ length: 5 }, () => guesses.map(({ id, code }) => store.check(id, code))).flat(),
    )
    expect(results.filter(({ kind }) => kind === 'checked')).toHaveLength(20)
    expect(results.filter((result) => result.kind === 'refused')[0]).toEqual(DISABLED)
  })
})

describe('a disabled number', () => {
  it('refuses start, resend and check, even of the right code, and waiting does not help', async () => {
    const { store, destination, id, code, last } = await disabled()
    expect(last).toMatchObject({ verdict: 'wrong', explain: 'number_wrong_in_a_row=block' })
    expect(await store.verifications.start(store.requestFor(destination))).toEqual(DISABLED)
    expect(await store.verifications.resend(APPLICATION, id)).toEqual(DISABLED)
    expect(await store.check(id, code)).toEqual(DISABLED)
    expect(await store.hash(id)).toMatchObject({ status: 'pending', wrong: '1', sends: '1' })
  })

  it('bound again checks and starts as before, and so does one that was never disabled', async () => {
    const { store, destination, id, code } = await disabled()
    await store.destinations.rebind(APPLICATION, destination)
    await store.destinations.rebind(APPLICATION, destination)
    expect(await store.check(id, code)).toMatchObject({ verdict: 'approved' })
    expect(await store.start(destination)).toMatchObject({ kind: 'started' })
  })

  it('bound again still has the wrong codes of its hour', async () => {
    const wrongCheckLimits = [{ name: 'test', max: 2, windowMs: 60_000 }]
    const { store, destination, id, code } = await disabled({ wrongCheckLimits })
    await store.destinations.rebind(APPLICATION, destination)
    expect(await store.check(id, code)).toMatchObject({ refusal: 'check_limit', limit: 'test' })
  })

  it('looks to a silent caller like any other, is sent nothing, and has no right code', async () => {
    const { store, destination } = await disabled()
    const other = await store.start(freshDestination(), { silent: true })
    const purpose = 'form' as Purpose
    const started = await store.start(destination, { silent: true, purpose })
    const shape = ({ kind, send, sendsLeft, checksLeft, explain }: typeof started) =>
      JSON.stringify({ kind, send, sendsLeft, checksLeft, explain })
    expect(shape(started)).toBe(shape(other))
    expect(await store.hash(started.id)).toMatchObject({
      '1:state': 'suppressed',
      '1:reason': 'number_disabled',
    })
    const send = { application: APPLICATION, verification: started.id, send: 1 }
    expect(await store.deliveries.claim(send, 'token')).toMatchObject({ kind: 'closed' })
    const code = await store.codeFor(started.id)
    const typed = { application: APPLICATION, destination, purpose, code, silent: true }
    const verdicts = []
    for (let check = 1; check <= 6; check++) {
      const checked = await store.verifications.checkDestination(typed)
      verdicts.push(
        checked.kind === 'checked' && `${checked.verdict} ${checked.checksLeft} ${checked.explain}`,
      )
    }
    expect(verdicts).toEqual(['wrong 4 ', 'wrong 3 ', 'wrong 2 ', 'wrong 1 ', 'wrong 0 ', 'exhausted 0 '])
  })

  it('has no right code for a silent caller either when the code was sent before', async () => {
    const { store, id, code } = await disabled()
    const typed = { application: APPLICATION, id, code, silent: true }
    expect(await store.verifications.check(typed)).toMatchObject({ verdict: 'wrong' })
  })
})
