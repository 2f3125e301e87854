/** The line of a number: who waits in it, whose turn it is, and that it holds what waits and nothing else. */
import { describe, expect, it } from 'vitest'
import type { Claim } from '#store/deliveries.ts'
import {
  type ClockedStore,
  claimAll,
  claimedOf,
  NUMBER,
  senderAt,
  sendOf,
  startMany,
  useClockedStores,
} from '#test/fixtures/clock.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Outcome } from '#verification/outcome.ts'
import type { SendReference, VerificationId } from '#verification/verification.ts'

const { connection, keep, storeAt } = useClockedStores()

const accepted: Outcome = { kind: 'accepted', messageId: 'm' }
const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
const unknown: Outcome = { kind: 'unknown', reason: 'timeout' }

describe('while more wait than may leave', () => {
  it('the code that has longest to live goes first, whoever’s turn it is', async () => {
    const store = await storeAt(1)
    const [a, b, c, d] = (await startMany(store, 4, 1)) as [
      SendReference,
      SendReference,
      SendReference,
      SendReference,
    ]
    const order: VerificationId[] = []
    const waits: (number | undefined)[] = []
    for (let turn = 0; turn < 4; turn++) {
      const claim = await store.deliveries.claim(a, `turn${turn}`)
      if (claim.kind !== 'claimed') throw new Error(`turn ${turn}: ${claim.kind}`)
      order.push(claim.send.verification)
      waits.push(claim.againMs)
      await store.deliveries.record(claim.send, { token: `turn${turn}`, outcome: accepted, waitMs: 0 })
      await store.passTime(1_000)
    }
    expect(order).toEqual([d, c, b, a].map(({ verification }) => verification))
    expect(waits).toEqual([3_000, 2_000, 1_000, undefined])
    for (const send of [a, b, c, d])
      expect(await store.deliveries.claim(send, 'late')).toEqual({ kind: 'closed', why: 'accepted' })
  })

  it('nobody need wait for a fresher one that there is room for as well', async () => {
    const store = await storeAt(4)
    const sends = await startMany(store, 4, 1)
    const claims = claimedOf(await claimAll(store, sends))
    expect(claims.map(({ send }) => send)).toEqual(sends)
    expect(claims.every(({ againMs }) => againMs === undefined)).toBe(true)
  })

  it('a claim whose answer was lost is given again to the same token, though it is for another send', async () => {
    const store = await storeAt(1)
    const [a, b] = (await startMany(store, 2, 1)) as [SendReference, SendReference]
    const first = await store.deliveries.claim(a, 'mine')
    const again = await store.deliveries.claim(a, 'mine')
    expect(first).toMatchObject({ kind: 'claimed', send: b, attempt: 1 })
    expect(again).toMatchObject({ kind: 'claimed', send: b, attempt: 1 })
    expect(await store.hash(b.verification)).toMatchObject({ '1:submitted': '1', '1:attempts': '1' })
    expect(await store.hash(a.verification)).toMatchObject({ '1:submitted': '0', '1:state': 'queued' })
  })

  it('a wait is as long as those with longer to live take, and never beyond the last moment or half a minute', async () => {
    const store = await storeAt(1)
    const sends = await startMany(store, 50, 1)
    await claimAll(store, sends.slice(-1))
    const waits = await Promise.all(
      sends.map((send) => store.deliveries.claim(send, `w${send.verification}`)),
    )
    expect(waits.slice(-4, -1)).toMatchObject([{ waitMs: 3_000 }, { waitMs: 2_000 }, { waitMs: 1_000 }])
    expect(waits[0]).toMatchObject({ waitMs: 30_000 })
    await store.setTime(239_000)
    await store.takePace(NUMBER, 1)
    expect(await store.deliveries.claim(sends[0] as SendReference, 'w')).toEqual({
      kind: 'wait',
      waitMs: 1_000,
    })
  })

  it('what comes too late ends as expired, and stands in nobody’s way', async () => {
    const store = await storeAt(1)
    const [old] = await startMany(store, 1, 1)
    if (!old) throw new Error('nothing was started')
    await store.setTime(240_000)
    const [fresh] = await startMany(store, 1, 1)
    if (!fresh) throw new Error('nothing was started')
    await store.takePace(NUMBER, 1)
    expect(await store.deliveries.claim(fresh, 'f')).toEqual({ kind: 'wait', waitMs: 1_000 })
    expect(await store.waiting()).toBe(1)
    expect(await store.deliveries.claim(old, 'o')).toMatchObject({ kind: 'closed', why: 'expired' })
    expect(await store.hash(old.verification)).toMatchObject({ '1:reason': 'not_sent_in_time' })
  })

  it.each([
    [
      'canceled',
      async (store: ClockedStore, { verification }: SendReference) =>
        void (await store.verifications.cancel(APPLICATION, verification)),
    ],
    [
      'gone',
      async (store: ClockedStore, { verification }: SendReference) =>
        void (await connection.redis.del(store.keys.verification(APPLICATION, verification))),
    ],
    [
      'accepted, as a receipt says',
      async (store: ClockedStore, send: SendReference) =>
        void (await store.deliveries.takeReceipt(send, { messageId: 'm', state: 'delivered' })),
    ],
  ])('a fresher one that is %s is passed over', async (_, end) => {
    const store = await storeAt(1)
    const [a, b, c] = (await startMany(store, 3, 1)) as [SendReference, SendReference, SendReference]
    await end(store, c)
    expect(await store.deliveries.claim(a, 't')).toMatchObject({ kind: 'claimed', send: b })
    expect(await store.waiting()).toBe(1)
  })

  it('a fresher one whose number has answered STOP is passed over, and held back', async () => {
    const store = await storeAt(1)
    const [a] = (await startMany(store, 1, 1)) as [SendReference]
    await store.passTime(1)
    const destination = freshDestination()
    const b = sendOf((await store.start(destination)).id)
    await store.suppressions.heed({ keyword: 'stop', destination, sender: NUMBER, agoMs: 0, token: 's' })
    expect(await store.deliveries.claim(a, 't')).toMatchObject({ kind: 'claimed', send: a })
    expect(await store.hash(b.verification)).toMatchObject({ '1:state': 'suppressed' })
    expect(await store.waiting()).toBe(0)
  })

  it('a fresher one that waits for its next attempt is passed over until then', async () => {
    const store = await storeAt(1)
    const [a, b, c] = (await startMany(store, 3, 1)) as [SendReference, SendReference, SendReference]
    await store.deliveries.claim(c, 'c')
    await store.deliveries.record(c, { token: 'c', outcome: busy, waitMs: 1_500 })
    await store.passTime(1_000)
    expect(await store.deliveries.claim(a, 'a1')).toMatchObject({ kind: 'claimed', send: b })
    await store.passTime(1_000)
    expect(await store.deliveries.claim(a, 'a2')).toMatchObject({ kind: 'claimed', send: c, attempt: 2 })
  })
})

describe('a line holds what waits, and nothing else:', () => {
  const token = 't'
  it.each([
    ['a start', 2, async () => {}],
    ['a claim', 0, async ({ claim }) => void (await claim())],
    [
      'an acceptance',
      0,
      async ({ claim, record }) => {
        await claim()
        await record(accepted)
      },
    ],
    [
      'a busy attempt',
      2,
      async ({ claim, record }) => {
        await claim()
        await record(busy)
      },
    ],
    [
      'an unknown attempt',
      2,
      async ({ claim, record }) => {
        await claim()
        await record(unknown)
      },
    ],
    [
      'a second unknown attempt',
      0,
      async ({ store, claim, record }) => {
        await claim()
        await record(unknown)
        await store.passTime(10_000)
        await claim()
        await record(unknown)
      },
    ],
    [
      'an unknown attempt and its receipt',
      0,
      async ({ store, send, claim, record }) => {
        await claim()
        await record(unknown)
        await store.deliveries.takeReceipt(send, { messageId: 'm', state: 'sent' })
      },
    ],
    [
      'an unknown attempt and a cancellation',
      0,
      async ({ store, send, claim, record }) => {
        await claim()
        await record(unknown)
        await store.verifications.cancel(APPLICATION, send.verification)
      },
    ],
    [
      'a resend',
      2,
      async ({ store, send }) => {
        await store.passTime(30_000)
        await store.verifications.resend(APPLICATION, send.verification)
      },
    ],
    [
      'an approval',
      0,
      async ({ store, send }) => {
        await store.check(send.verification, await store.codeFor(send.verification))
      },
    ],
    [
      'a cancellation',
      0,
      async ({ store, send }) => {
        await store.verifications.cancel(APPLICATION, send.verification)
      },
    ],
    [
      'the last wrong check',
      0,
      async ({ store, send }) => {
        const right = await store.codeFor(send.verification)
        const wrong = (right === '000000' ? '000001' : '000000') as typeof right
        for (let check = 0; check < 5; check++) await store.check(send.verification, wrong)
      },
    ],
    [
      'the end of its time, noticed by the sweeper',
      0,
      async ({ store }) => {
        await store.passTime(300_000)
        await store.deliveries.sweep(APPLICATION, 10)
      },
    ],
  ] as [
    string,
    number,
    (given: {
      store: ClockedStore
      send: SendReference
      claim: () => Promise<Claim>
      record: (outcome: Outcome) => Promise<unknown>
    }) => Promise<void>,
  ][])('after %s %d segments', async (_, entries, happen) => {
    const store = await storeAt(100, { segments: 2 })
    const send = sendOf((await store.start(freshDestination())).id)
    await happen({
      store,
      send,
      claim: () => store.deliveries.claim(send, token),
      record: (outcome) => store.deliveries.record(send, { token, outcome, waitMs: 1_000 }),
    })
    expect(await store.waiting()).toBe(entries)
  })

  it('an acceptance that comes after the lease, while the send waits to go once more, takes it out', async () => {
    const store = await storeAt(1)
    const send = sendOf((await store.start(freshDestination())).id)
    await store.deliveries.claim(send, 'slow')
    await store.passTime(13_000)
    await store.takePace(NUMBER, 1)
    expect(await store.deliveries.claim(send, 'next')).toMatchObject({ kind: 'wait' })
    expect(await store.waiting()).toBe(1)
    await store.deliveries.record(send, { token: 'slow', outcome: accepted, waitMs: 0 })
    expect(await store.waiting()).toBe(0)
  })

  it('a message that is held back never stands in it', async () => {
    const store = await storeAt(1)
    await store.start(freshDestination(), { held: 'number_denied' })
    expect(await store.waiting()).toBe(0)
  })
})

describe('a number that is ours no more', () => {
  const NEW = '+12025550177'
  const gone = async () => {
    const before = keep(storeOn(connection.redis, {}, undefined, () => 1, [senderAt(100)]))
    const after = storeOn(connection.redis, {}, before, () => 1, [senderAt(100, NEW)])
    const { id } = await before.start(freshDestination())
    return { before, after, send: sendOf(id) }
  }

  it('leaves its sends to another, and each attempt says which it went out from', async () => {
    const { before, after, send } = await gone()
    expect(await before.deliveries.claim(send, 'one')).toMatchObject({ from: NUMBER })
    const asked = { token: 'one', waitMs: 0, from: NUMBER }
    await before.deliveries.record(send, { ...asked, outcome: { ...busy, provider: 'relay' } })
    expect(await after.deliveries.claim(send, 'two')).toMatchObject({ kind: 'claimed', from: NEW })
    const asked2 = { token: 'two', waitMs: 0, from: NEW }
    await after.deliveries.record(send, { ...asked2, outcome: { ...accepted, provider: 'relay' } })
    const view = await after.verifications.read(APPLICATION, send.verification)
    expect(view?.sends[0]?.timeline).toMatchObject([{ from: NUMBER }, { from: NEW, messageId: 'm' }])
    for (const number of [NUMBER, NEW]) expect(await connection.redis.zcard(after.keys.line(number))).toBe(0)
  })

  it('leaves its resends to another too', async () => {
    const { after, send } = await gone()
    const patient = storeOn(connection.redis, { resendWaitsMs: [0] }, after, () => 1, [senderAt(100, NEW)])
    await connection.redis.hset(after.keys.verification(APPLICATION, send.verification), 'next_send', 1)
    expect(await patient.verifications.resend(APPLICATION, send.verification)).toMatchObject({
      kind: 'sent_again',
    })
    expect(await connection.redis.zcard(after.keys.line(NUMBER))).toBe(0)
    expect(await connection.redis.zcard(after.keys.line(NEW))).toBe(1)
  })

  it('may be one that was never known: a verification of a version without lines is sent', async () => {
    const { after, send } = await gone()
    await connection.redis.hdel(after.keys.verification(APPLICATION, send.verification), 'line')
    expect(await after.deliveries.claim(send, 't')).toMatchObject({ kind: 'claimed', from: NEW })
  })
})

it('a destination keeps its number when another is added', async () => {
  const before = keep(storeOn(connection.redis, { rules: [] }, undefined, () => 1, [senderAt(100)]))
  const after = storeOn(connection.redis, { rules: [] }, before, () => 1, [
    senderAt(100),
    senderAt(100_000, '12345'),
  ])
  for (let round = 0; round < 20; round++) {
    const { id } = await before.start(freshDestination())
    expect(await after.deliveries.claim(sendOf(id), 't')).toMatchObject({ from: NUMBER })
  }
})
