/** Receipts on their way into the ledger: by reference, by message id, too early, and while Redis is away. */
import { describe, expect, it, vi } from 'vitest'
import { createReceipts } from '#receipts/receipts.ts'
import { StoreFault } from '#store/script.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import { formatReference } from '#verification/verification.ts'

const connection = useRedis()

async function acceptedSend() {
  const store = storeOn(connection.redis)
  const { id } = await store.start(freshDestination())
  const send = { application: APPLICATION, verification: id, send: 1 }
  await store.deliveries.claim(send, 'token')
  await store.deliveries.record(send, {
    token: 'token',
    outcome: { kind: 'accepted', messageId: 'm-1' },
    waitMs: 0,
  })
  const alarms: unknown[] = []
  const receipts = createReceipts({
    deliveries: store.deliveries,
    alarm: ({ reason }) => alarms.push(reason),
    log: silentLog,
  })
  return { ...store, send, receipts, alarms, state: async () => (await store.hash(id))['1:state'] }
}

describe('a receipt', () => {
  it('with our reference finds its send', async () => {
    const { receipts, send, state } = await acceptedSend()
    receipts.take({ messageId: 'm-1', reference: formatReference(send), state: 'delivered' })
    await receipts.settled()
    expect(await state()).toBe('delivered')
  })

  it('with the provider’s id alone finds its send', async () => {
    const { receipts, send, deliveries, state } = await acceptedSend()
    await deliveries.rememberMessage('m-77', formatReference(send))
    receipts.take({ messageId: 'm-77', state: 'undelivered', reason: 'unreachable' })
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
    const { receipts, send, deliveries, state } = await acceptedSend()
    receipts.take({ messageId: 'm-78', state: 'delivered' })
    await receipts.settled()
    await deliveries.rememberMessage('m-78', formatReference(send))
    await vi.waitFor(async () => expect(await state()).toBe('delivered'), { timeout: 3_000 })
  })

  it('that comes while Redis is away is taken when it is back', async () => {
    const { receipts, send, deliveries, state } = await acceptedSend()
    const take = deliveries.takeReceipt
    let away = true
    deliveries.takeReceipt = async (...given) => {
      if (away) throw new StoreFault('Redis is away')
      return take(...given)
    }
    receipts.take({ messageId: 'm-1', reference: formatReference(send), state: 'delivered' })
    await receipts.settled()
    away = false
    await vi.waitFor(async () => expect(await state()).toBe('delivered'), { timeout: 3_000 })
  })

  it.each(['nonsense', 'shop/not-an-id/1', `shop/00000000000000000000000000000000/1`])(
    'with the reference %s of nothing of ours is let go',
    async (reference) => {
      const { receipts, state } = await acceptedSend()
      receipts.take({ messageId: 'm-1', reference, state: 'delivered' })
      await receipts.settled()
      receipts.stop()
      expect(await state()).toBe('accepted')
    },
  )
})
