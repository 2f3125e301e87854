/** Getting a send into the queue: ids only, once, and never waiting for a Redis that is away. */
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { createDeliveryQueue, jobIdOf, parseJob } from '#queue/delivery-queue.ts'
import { connectForQueue } from '#runtime/redis.ts'
import { freshPrefix, silentLog, testRedisUrl } from '#test/fixtures/redis.ts'
import { APPLICATION } from '#test/fixtures/store.ts'
import { formatReference, newVerificationId } from '#verification/verification.ts'

const closers: (() => Promise<void>)[] = []
const newSend = () => ({ application: APPLICATION, verification: newVerificationId(), send: 1 })

function queueOn(connection: Redis) {
  const queue = createDeliveryQueue({ connection, prefix: freshPrefix() })
  closers.push(async () => {
    connection.disconnect()
    await queue.close()
  })
  return queue
}

async function connected() {
  const connection = connectForQueue(testRedisUrl(), silentLog)
  await new Promise<void>((resolve) => connection.once('ready', () => resolve()))
  return queueOn(connection)
}

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

describe('the queue', () => {
  it.each([1, 199, 200, 201, 500])('takes %i sends at once, each in its own job', async (count) => {
    const queue = await connected()
    await Promise.all(Array.from({ length: count }, () => queue.enqueue(newSend())))
    expect(await queue.backlog()).toBe(count)
  })

  it('takes a send once while it waits', async () => {
    const queue = await connected()
    const send = newSend()
    await Promise.all([queue.enqueue(send), queue.enqueue(send)])
    await queue.enqueue(send)
    expect(await queue.backlog()).toBe(1)
  })

  it('refuses at once while Redis is away, and leaves the send to the sweeper', async () => {
    const away = new Redis({
      port: 1,
      lazyConnect: true,
      maxRetriesPerRequest: null,
      retryStrategy: () => null,
    })
    away.on('error', () => {})
    const queue = queueOn(away)
    await expect(queue.enqueue(newSend())).rejects.toThrow('not connected')
  })
})

describe('a job', () => {
  it('has an id BullMQ takes: no colon, not all digits', () => {
    expect(jobIdOf(newSend())).toMatch(/^s-[0-9a-f]{32}-1$/)
  })

  it.each([
    ['nothing', undefined],
    ['an object', newSend()],
    ['a text', 'x'],
    ['a strange application', `a:b/${newVerificationId()}/1`],
    ['a strange verification', 'shop/1/1'],
    ['the shape it had before it was a reference', newSend()],
    ['a send that is no number', `shop/${newVerificationId()}/x`],
    ['a send there cannot be', `shop/${newVerificationId()}/0`],
  ])('of %s is not taken for one of ours', (_, data) => {
    expect(parseJob(data)).toBeUndefined()
  })

  it('of ours is read back as it was', () => {
    const send = newSend()
    expect(parseJob(formatReference(send))).toEqual(send)
  })
})
