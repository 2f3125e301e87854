/** News that cannot move a send is not asked about; after any loss of the connection everything is. */
import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { ReceiptState } from '#verification/outcome.ts'
import type { SendState } from '#verification/verification.ts'

const connection = useRedis()

async function acceptedSend() {
  const { redis } = connection
  const store = storeOn(redis)
  const { id } = await store.start(freshDestination())
  const send = { application: APPLICATION, verification: id, send: 1 }
  await store.deliveries.claim(send, 'token')
  await store.deliveries.record(send, {
    token: 'token',
    outcome: { kind: 'accepted', messageId: 'm-1' },
    waitMs: 0,
  })
  const scripts = vi.spyOn(redis, 'fcall')
  scripts.mockClear()
  return {
    redis,
    asked: () => scripts.mock.calls.length,
    take: (state: ReceiptState) => store.deliveries.takeReceipt(send, { messageId: 'm-1', state }),
    setState: (state: SendState) => redis.hset(store.keys.verification(APPLICATION, id), '1:state', state),
  }
}

describe('of a send that was accepted', () => {
  it.each(['queued', 'initiated', 'sent'] as const)(
    'the news that it is %s is kept unasked',
    async (news) => {
      const { take, asked } = await acceptedSend()
      expect(await take(news)).toEqual({ kind: 'kept', state: 'accepted' })
      expect(asked()).toBe(0)
    },
  )

  it.each(['delivered', 'undelivered', 'failed'] as const)(
    'the news that it is %s moves it',
    async (news) => {
      const { take, asked } = await acceptedSend()
      expect(await take(news)).toEqual({ kind: 'moved', state: news })
      const before = asked()
      expect(await take(news)).toEqual({ kind: 'kept', state: news })
      expect(asked()).toBe(before)
    },
  )

  it('delivered outweighs undelivered, and not the other way round', async () => {
    const { take } = await acceptedSend()
    await take('undelivered')
    expect(await take('delivered')).toEqual({ kind: 'moved', state: 'delivered' })
    expect(await take('failed')).toEqual({ kind: 'kept', state: 'delivered' })
  })
})

it('a Redis that failed over and lost the acceptance learns of it from any receipt', async () => {
  const { redis, take, setState } = await acceptedSend()
  await setState('unknown')
  const back = once(redis, 'ready')
  redis.disconnect(true)
  await back
  expect(await take('sent')).toEqual({ kind: 'moved', state: 'accepted' })
})
