/** The pace of our numbers: no more leaves than they may send, whoever asks. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  claimAll,
  claimedOf,
  NUMBER,
  senderAt,
  sendOf,
  startMany,
  useClockedStores,
} from '#test/fixtures/clock.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { parseSender } from '#verification/sender.ts'

const { storeAt, storeWith } = useClockedStores()

describe('a number', () => {
  it('gives five hundred workers who ask at once a second’s worth, and then its rate', async () => {
    const store = await storeAt(50)
    let open = await startMany(store, 500, 0)
    const left: number[] = []
    for (let step = 0; step < 30; step++) {
      const given = claimedOf(await claimAll(store, open)).map(({ send }) => send.verification)
      expect(new Set(given).size).toBe(given.length)
      for (const _ of given) left.push(store.sinceBegin())
      open = open.filter(({ verification }) => !given.includes(verification))
      expect(given).toHaveLength(step === 0 ? 50 : 5)
      await store.passTime(100)
    }
    for (const [index, from] of left.entries())
      for (const [more, to] of left.slice(index).entries())
        expect(more + 1).toBeLessThanOrEqual(50 + (50 * (to - from)) / 1_000)
  })

  it('that was idle for long owes nothing: a second’s worth is the most at once', async () => {
    const store = await storeAt(4)
    const sends = await startMany(store, 20, 0)
    await store.passTime(60_000)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(4)
  })

  it('counts every segment', async () => {
    const store = await storeAt(6, { segments: 3 })
    const sends = await startMany(store, 5, 0)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(2)
    await store.passTime(499)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(0)
    await store.passTime(1)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(1)
  })

  it('slower than a message is long sends it when it has nothing else in hand', async () => {
    const store = await storeAt(1, { segments: 3 })
    const sends = await startMany(store, 3, 0)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(1)
    await store.passTime(2_999)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(0)
    await store.passTime(1)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(1)
  })

  it('that is out of turns keeps no other number from sending', async () => {
    const other = '+12025550188'
    const senders = [senderAt(1), senderAt(1, other)]
    const store = await storeWith({ senders })
    const sends = await startMany(store, 30, 0)
    const given = claimedOf(await claimAll(store, sends))
    expect(given.map(({ from }) => from).sort()).toEqual([other, NUMBER])
  })

  it('shares its pace with the answers to STOP and HELP', async () => {
    const store = await storeAt(2)
    const sends = await startMany(store, 2, 0)
    expect(await store.takePace(NUMBER, 1)).toBe(0)
    expect(claimedOf(await claimAll(store, sends))).toHaveLength(1)
    expect(await store.takePace(NUMBER, 1)).toBe(500)
    expect(await store.takePace('+18005550123', 1)).toBe(0)
    await store.passTime(500)
    expect(await store.takePace(NUMBER, 1)).toBe(0)
  })

  it('is told by a model: what waits, and for how long, whatever comes when', async () => {
    const message = fc.record({
      afterMs: fc.nat({ max: 1_500 }),
      segments: fc.integer({ min: 1, max: 3 }),
    })
    const rate = fc.constantFrom(0.5, 1, 3, 4, 10, 33.33, 1_000)
    await fc.assert(
      fc.asyncProperty(
        rate,
        fc.array(message, { minLength: 1, maxLength: 30 }),
        async (perSecond, messages) => {
          const store = await storeAt(perSecond)
          const left: { at: number; segments: number }[] = []
          const segmentMs = 1_000 / perSecond
          let busyUntil = 0
          let now = 0
          for (const { afterMs, segments } of messages) {
            now += afterMs
            await store.setTime(now)
            const from = Math.max(busyUntil, now)
            const expected = from + Math.min(segments * segmentMs, 1_000) - 1_000 - now
            const waitMs = await store.takePace(NUMBER, segments)
            expect(Math.abs(waitMs - Math.max(0, expected))).toBeLessThanOrEqual(1)
            if (waitMs > 0) continue
            busyUntil = from + segments * segmentMs
            left.push({ at: now, segments })
          }
          for (const [index, first] of left.entries()) {
            let total = 0
            for (const { at, segments } of left.slice(index)) {
              total += segments
              // Three segments are let through whole by a number that is slower than that.
              const most = Math.max(perSecond, 3) + (perSecond * (at - first.at)) / 1_000
              expect(total).toBeLessThanOrEqual(most + 0.01)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('calls', () => {
  it('leave one a second over all numbers, and take nothing from their messages', async () => {
    const senders = [senderAt(1), senderAt(1, '+12025550188')]
    const store = await storeWith({ senders })
    const calls = await Promise.all(
      Array.from({ length: 4 }, async () =>
        sendOf((await store.start(freshDestination(), { channel: 'call' })).id),
      ),
    )
    expect(claimedOf(await claimAll(store, calls))).toMatchObject([{ channel: 'call' }])
    const messages = await startMany(store, 20, 0)
    expect(claimedOf(await claimAll(store, messages))).toHaveLength(2)
    await store.passTime(1_000)
    expect(claimedOf(await claimAll(store, calls))).toHaveLength(1)
  })

  it('go out from a number that can call', async () => {
    const short = parseSender('12345')
    if (!short) throw new Error('no short code')
    const store = await storeWith({ senders: [short, senderAt(4)] })
    for (let round = 0; round < 10; round++) {
      const { id } = await store.start(freshDestination(), { channel: 'call' })
      expect(await store.deliveries.claim(sendOf(id), 't')).toMatchObject({ from: NUMBER })
      await store.passTime(1_000)
    }
  })
})
