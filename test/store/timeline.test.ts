/** The timeline of a send: what the ledger keeps of each attempt, how compactly, and what it never forgets. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Outcome } from '#verification/outcome.ts'

const connection = useRedis()
const FROM = '+12025550199'
const busy: Outcome = { kind: 'busy', reason: 'credentials_refused', provider: 'signalwire-relay' }
const unknown: Outcome = { kind: 'unknown', reason: 'connection_lost', provider: 'signalwire-relay' }
const accepted: Outcome = { kind: 'accepted', messageId: 'm-1', provider: 'signalwire-rest' }

async function ledger(overrides = {}) {
  const store = storeOn(connection.redis, { receiptWaitMs: 0, resendWaitsMs: [0, 0, 0], ...overrides })
  const { id } = await store.start(freshDestination())
  const reference = (send: number) => ({ application: APPLICATION, verification: id, send })
  let tokens = 0
  return {
    ...store,
    id,
    claim: (send = 1) => store.deliveries.claim(reference(send), `t${++tokens}`),
    record: (outcome: Outcome, send = 1) =>
      store.deliveries.record(reference(send), { token: `t${tokens}`, outcome, waitMs: 0, from: FROM }),
    receipt: (send = 1) =>
      store.deliveries.takeReceipt(reference(send), { messageId: 'late', state: 'delivered' }),
    timeline: async (send = 1) =>
      (await store.verifications.read(APPLICATION, id))?.sends[send - 1]?.timeline ?? [],
  }
}

describe('an attempt', () => {
  it('in hand is submitting, since its claim', async () => {
    const l = await ledger()
    const before = Date.now()
    await l.claim()
    const [attempt] = await l.timeline()
    expect(attempt).toEqual({ number: 1, outcome: 'submitting', startedAtMs: expect.any(Number) })
    expect(Math.abs((attempt?.startedAtMs ?? 0) - before)).toBeLessThan(1_000)
  })

  it.each<[Outcome, object]>([
    [accepted, { outcome: 'accepted', provider: 'signalwire-rest', messageId: 'm-1' }],
    [busy, { outcome: 'busy', provider: 'signalwire-relay', reason: 'credentials_refused' }],
    [unknown, { outcome: 'unknown', provider: 'signalwire-relay', reason: 'connection_lost' }],
    [
      { kind: 'rejected', reason: 'opted_out', provider: 'signalwire-rest' },
      { outcome: 'rejected', provider: 'signalwire-rest', reason: 'opted_out' },
    ],
  ])('recorded as %j keeps provider, our number, reason and times', async (outcome, kept) => {
    const l = await ledger()
    await l.claim()
    await l.record(outcome)
    const [attempt] = await l.timeline()
    expect(attempt).toEqual({
      number: 1,
      from: FROM,
      startedAtMs: expect.any(Number),
      endedAtMs: expect.any(Number),
      ...kept,
    })
    expect(attempt?.endedAtMs).toBeGreaterThanOrEqual(attempt?.startedAtMs ?? Number.POSITIVE_INFINITY)
  })

  it('given back before anybody was asked names no provider and no number', async () => {
    const l = await ledger()
    await l.claim()
    await l.record({ kind: 'busy', reason: 'key_unknown' })
    expect(await l.timeline()).toEqual([
      {
        number: 1,
        outcome: 'busy',
        reason: 'key_unknown',
        startedAtMs: expect.any(Number),
        endedAtMs: expect.any(Number),
      },
    ])
  })

  it('of a lost worker is unknown, beside the one that followed', async () => {
    const l = await ledger({ leaseMs: 0 })
    await l.claim()
    await l.claim()
    await l.record(accepted)
    expect(await l.timeline()).toMatchObject([
      { number: 1, outcome: 'unknown', reason: 'worker_lost' },
      { number: 2, outcome: 'accepted', messageId: 'm-1' },
    ])
  })

  it('whose receipt came first is noted all the same', async () => {
    const l = await ledger()
    await l.claim()
    await l.receipt()
    await l.record(unknown)
    expect(await l.timeline()).toMatchObject([{ outcome: 'unknown' }])
  })

  it('of a worker that was overtaken is not noted over the other’s', async () => {
    const l = await ledger({ leaseMs: 0 })
    await l.claim()
    await l.claim()
    const stale = { application: APPLICATION, verification: l.id, send: 1 }
    await l.deliveries.record(stale, { token: 't1', outcome: accepted, waitMs: 0 })
    expect(await l.timeline()).toMatchObject([{ outcome: 'unknown' }, { number: 2 }])
  })
})

describe('many attempts', () => {
  it('leave the first and the last of them', async () => {
    const l = await ledger()
    for (let attempt = 1; attempt <= 12; attempt++) {
      await l.claim()
      await l.record(busy)
    }
    expect((await l.timeline()).map(({ number }) => number)).toEqual([1, 8, 9, 10, 11, 12])
  })

  it('leave every one that may have left', async () => {
    const l = await ledger()
    for (let attempt = 1; attempt <= 12; attempt++) {
      await l.claim()
      await l.record(attempt === 3 ? unknown : attempt === 12 ? accepted : busy)
    }
    expect((await l.timeline()).map(({ number, outcome }) => `${number} ${outcome}`)).toEqual([
      '1 busy',
      '3 unknown',
      '8 busy',
      '9 busy',
      '10 busy',
      '11 busy',
      '12 accepted',
    ])
  })

  it('of every send a verification can have leave its hash compact', async () => {
    // As many sends as RESEND_WAITS_SECONDS can ask for.
    const l = await ledger({ sendLimits: [], resendWaitsMs: [0, 0, 0, 0, 0] })
    const outcome: Outcome = { ...busy, retryAfterMs: 0 }
    for (let send = 1; send <= 6; send++) {
      if (send > 1) await l.verifications.resend(APPLICATION, l.id)
      for (let attempt = 1; attempt <= 20; attempt++) {
        await l.claim(send)
        await l.record(attempt === 2 ? { ...unknown, reason: 'credentials_refused' } : outcome, send)
      }
      await l.claim(send)
      await l.record({ ...accepted, messageId: 'c0ffee00-c0de-4bad-8bad-c0ffee00c0de' }, send)
    }
    const key = l.keys.verification(APPLICATION, l.id)
    const hash = await l.hash(l.id)
    expect(Math.max(...Object.values(hash).map((value) => value.length))).toBeLessThanOrEqual(64)
    expect(Object.keys(hash).length).toBeLessThanOrEqual(128)
    expect(await connection.redis.object('ENCODING', key)).toBe('listpack')
  })
})

describe('a claim says how long ago a message may have left', () => {
  const agoOf = (claim: object) => ('mayHaveLeftMs' in claim ? claim.mayHaveLeftMs : undefined)

  it('not at all for the first attempt, nor after one known not to be sent', async () => {
    const l = await ledger()
    expect(agoOf(await l.claim())).toBeUndefined()
    await l.record(busy)
    expect(agoOf(await l.claim())).toBeUndefined()
  })

  it.each<[string, (l: Awaited<ReturnType<typeof ledger>>) => Promise<unknown>, object]>([
    ['unknown', (l) => l.record(unknown), {}],
    ['lost with its worker', async () => {}, { leaseMs: 0 }],
  ])('from the claim of one that is %s', async (_, end, overrides) => {
    const l = await ledger(overrides)
    await l.claim()
    await end(l)
    // Two minutes ago instead of just now.
    await connection.redis.hincrby(l.keys.verification(APPLICATION, l.id), '1:at', -120_000)
    const claim = await l.claim()
    expect(claim).toMatchObject({ kind: 'claimed' })
    expect(agoOf(claim)).toBeGreaterThanOrEqual(120_000)
    expect(agoOf(claim)).toBeLessThan(125_000)
  })
})
