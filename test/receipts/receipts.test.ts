/** Receipts on their way into the ledger: by reference, by message id, too early, and while Redis is away. */
import { describe, expect, it, vi } from 'vitest'
import { createReceipts } from '#receipts/receipts.ts'
import type { Alarm } from '#runtime/alarm.ts'
import type { LogFields } from '#runtime/log.ts'
import { StoreFault } from '#store/script.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Outcome } from '#verification/outcome.ts'
import { formatReference } from '#verification/verification.ts'

const connection = useRedis()

const CODE_LIFE_MS = 300_000

async function claimedSend(forMs = CODE_LIFE_MS) {
  const store = storeOn(connection.redis)
  const { id } = await store.start(freshDestination())
  const send = { application: APPLICATION, verification: id, send: 1 }
  await store.deliveries.claim(send, 'token')
  const outcome: Outcome = { kind: 'accepted', messageId: 'm-1' }
  const alarms: unknown[] = []
  const told: [string, LogFields][] = []
  const tell = (fields: LogFields, message: string) => void told.push([message, fields])
  const log = { ...silentLog, warn: tell, error: tell }
  const alarm: Alarm = ({ reason }) => alarms.push(reason)
  return {
    ...store,
    send,
    told,
    alarms,
    receipts: createReceipts({ deliveries: store.deliveries, forMs, alarm, log }),
    accept: () => store.deliveries.record(send, { token: 'token', outcome, waitMs: 0 }),
    state: async () => (await store.hash(id))['1:state'],
    delivered: { messageId: 'm-1', reference: formatReference(send), state: 'delivered' } as const,
  }
}

async function acceptedSend(forMs?: number) {
  const claimed = await claimedSend(forMs)
  await claimed.accept()
  return claimed
}

/** A ledger that takes no receipts until it is told to. */
function takeNone(deliveries: Awaited<ReturnType<typeof acceptedSend>>['deliveries']) {
  const { takeReceipt } = deliveries
  const redis = { away: true, asked: 0 }
  deliveries.takeReceipt = async (...given) => {
    redis.asked += 1
    if (redis.away) throw new StoreFault('Redis is away')
    return takeReceipt(...given)
  }
  return redis
}

describe('a receipt', () => {
  it('with our reference finds its send', async () => {
    const { receipts, send, state } = await acceptedSend()
    receipts.take({ messageId: 'm-1', reference: formatReference(send), state: 'delivered' })
    await receipts.settled()
    expect(await state()).toBe('delivered')
  })

  it('with the provider’s id alone finds its send', async () => {
    const { receipts, state } = await acceptedSend()
    receipts.take({ messageId: 'm-1', state: 'undelivered', reason: 'unreachable' })
    await receipts.settled()
    expect(await state()).toBe('undelivered')
  })

  it('that moves its send is heard by the alarm, once', async () => {
    const { receipts, send, alarms } = await acceptedSend()
    const receipt = {
      messageId: 'm-1',
      reference: formatReference(send),
      state: 'undelivered',
      reason: 'content_filtered',
    } as const
    receipts.take(receipt)
    await receipts.settled()
    receipts.take(receipt)
    await receipts.settled()
    expect(alarms).toEqual(['content_filtered'])
  })

  it('that comes before its id is written down finds its send a little later', async () => {
    const { receipts, state, accept } = await claimedSend()
    receipts.take({ messageId: 'm-1', state: 'delivered' })
    await receipts.settled()
    await accept()
    await vi.waitFor(async () => expect(await state()).toBe('delivered'), { timeout: 3_000 })
  })

  it('says whether it was dealt with: taken or of nothing of ours, but not while Redis is away', async () => {
    const { receipts, deliveries, delivered } = await acceptedSend()
    expect(await receipts.take(delivered)).toBe(true)
    expect(await receipts.take({ ...delivered, reference: 'nonsense' })).toBe(true)
    takeNone(deliveries)
    expect(await receipts.take(delivered)).toBe(false)
    await receipts.stop()
  })

  it('that comes while Redis is away is taken when it is back, however often it was offered', async () => {
    const { receipts, deliveries, state, delivered, told } = await acceptedSend()
    const redis = takeNone(deliveries)
    await receipts.take(delivered)
    // More than one that finds no send is offered.
    await vi.waitFor(() => expect(redis.asked).toBeGreaterThan(6), { timeout: 10_000 })
    redis.away = false
    await vi.waitFor(async () => expect(await state()).toBe('delivered'), { timeout: 3_000 })
    expect(told).toEqual([])
  })

  it('knocks at a Redis that is away for all that wait', async () => {
    const { receipts, deliveries, state, delivered } = await acceptedSend()
    const redis = takeNone(deliveries)
    await Promise.all(Array.from({ length: 250 }, () => receipts.take({ ...delivered, state: 'sent' })))
    await receipts.take(delivered)
    expect(redis.asked).toBe(251)
    await vi.waitFor(() => expect(redis.asked).toBeGreaterThan(252), { timeout: 3_000 })
    expect(redis.asked).toBeLessThan(260)
    redis.away = false
    await vi.waitFor(async () => expect(await state()).toBe('delivered'), { timeout: 3_000 })
  })

  it('that Redis does not take while its code lives is given up, and that is what the line says', async () => {
    const { receipts, deliveries, send, delivered, told } = await acceptedSend(1_000)
    takeNone(deliveries)
    await receipts.take(delivered)
    await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 5_000 })
    const { application, verification } = send
    expect(told).toEqual([
      [
        'receipt not stored',
        { application, verification, send: 1, receipt: 'delivered', reason: 'redis_away' },
      ],
    ])
  })

  it('that comes when ten thousand wait is given up, and that is what the line says', async () => {
    const { receipts, deliveries, delivered, told } = await acceptedSend()
    takeNone(deliveries)
    const crowd = Array.from({ length: 10_000 }, () => receipts.take(delivered))
    await Promise.all(crowd)
    expect(told).toEqual([])
    await receipts.take(delivered)
    expect(told).toMatchObject([['receipt not stored', { receipt: 'delivered', reason: 'too_many' }]])
    await receipts.stop()
  })

  it('that waits is offered once more at the end, and what is given up then is told', async () => {
    const { receipts, deliveries, state, delivered, told } = await acceptedSend()
    const redis = takeNone(deliveries)
    await receipts.take(delivered)
    redis.away = false
    await receipts.stop()
    expect(await state()).toBe('delivered')
    expect(told).toEqual([])
  })

  it('that Redis does not take at the end either is told', async () => {
    const { receipts, deliveries, delivered, told } = await acceptedSend()
    takeNone(deliveries)
    await receipts.take(delivered)
    await receipts.take({ messageId: 'of nobody', state: 'sent' })
    await receipts.stop()
    expect(told).toEqual([['receipts not stored', { count: 2 }]])
  })

  it('that finds no send after the last offer says so', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { receipts, deliveries, told } = await acceptedSend()
      deliveries.findMessage = async () => undefined
      await receipts.take({ messageId: 'of nobody', state: 'sent' })
      await vi.advanceTimersByTimeAsync(21_200)
      expect(told).toEqual([['receipt found no send', { receipt: 'sent' }]])
    } finally {
      vi.useRealTimers()
    }
  })

  it.each(['nonsense', 'shop/not-an-id/1', `shop/00000000000000000000000000000000/1`])(
    'with the reference %s of nothing of ours is let go',
    async (reference) => {
      const { receipts, state } = await acceptedSend()
      receipts.take({ messageId: 'm-1', reference, state: 'delivered' })
      await receipts.settled()
      await receipts.stop()
      expect(await state()).toBe('accepted')
    },
  )
})
