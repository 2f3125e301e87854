/** Receipts on their way into the ledger: by reference, by message id, too early, and while Redis is away. */
import { describe, expect, it, vi } from 'vitest'
import { createReceipts } from '#receipts/receipts.ts'
import { StoreFault } from '#store/script.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Outcome } from '#verification/outcome.ts'
import { formatReference } from '#verification/verification.ts'

const connection = useRedis()

async function claimedSend() {
  const store = storeOn(connection.redis)
  const { id } = await store.start(freshDestination())
  const send = { application: APPLICATION, verification: id, send: 1 }
  await store.deliveries.claim(send, 'token')
  const outcome: Outcome = { kind: 'accepted', messageId: 'm-1' }
  return {
    ...store,
    send,
    receipts: createReceipts({ deliveries: store.deliveries, log: silentLog }),
    accept: () => store.deliveries.record(send, { token: 'token', outcome, waitMs: 0 }),
    state: async () => (await store.hash(id))['1:state'],
  }
}

async function acceptedSend() {
  const claimed = await claimedSend()
  await claimed.accept()
  return claimed
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

  it('that comes before its id is written down finds its send a little later', async () => {
    const { receipts, state, accept } = await claimedSend()
    receipts.take({ messageId: 'm-1', state: 'delivered' })
    await receipts.settled()
    await accept()
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
