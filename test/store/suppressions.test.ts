/** STOP, START and HELP of a number against everything that would send to it, on a real Redis. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, codeOf, freshDestination, rotatedVault, storeOn } from '#test/fixtures/store.ts'
import type { Destination } from '#verification/destination.ts'
import type { Keyword } from '#verification/keyword.ts'
import type { Application, VerificationId } from '#verification/verification.ts'

const connection = useRedis()
const OURS = '+12025550199'
const OTHER = '+12025550198'
const OPTED_OUT = { kind: 'refused', refusal: 'recipient_opted_out' }
let prefix = ''
let messages = 0

function optOuts(overrides = {}) {
  const store = storeOn(connection.redis, overrides)
  prefix = store.prefix
  const destination = freshDestination()
  const tag = store.vault.tagDestination(destination)
  const say = async (
    keyword: Keyword,
    more: { sender?: string; agoMs?: number; token?: string; from?: Destination } = {},
  ) => {
    messages += 1
    const { sender = OURS, agoMs = 0, token = `message-${messages}`, from = destination } = more
    return (await store.suppressions.heed({ keyword, destination: from, sender, agoMs, token })).kind
  }
  return {
    ...store,
    destination,
    say,
    suppression: store.keys.suppression(tag),
    tryStart: (more = {}) => store.verifications.start(store.requestFor(destination, more)),
    async queuedSend() {
      const { id } = await store.start(destination)
      const send = { application: APPLICATION, verification: id, send: 1 }
      return {
        id,
        send,
        claim: (token = 'first') => store.deliveries.claim(send, token),
        state: async () => (await store.hash(id))['1:state'],
      }
    },
  }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('a number that answered STOP', () => {
  it('is refused a start, with no time after which to try again', async () => {
    const { say, tryStart } = optOuts()
    await say('stop')
    expect(await tryStart()).toEqual(OPTED_OUT)
    expect(await tryStart()).toEqual(OPTED_OUT)
  })

  it('leaves no trace of a refused start', async () => {
    const store = optOuts()
    await store.say('stop')
    const before = (await connection.redis.keys(`${store.prefix}:*`)).sort()
    await store.tryStart({ idempotencyKey: 'order-1' })
    expect((await connection.redis.keys(`${store.prefix}:*`)).sort()).toEqual(before)
  })

  it('costs no code once it was refused', async () => {
    const { prefix: shared, vault, destination, say } = optOuts()
    const seal = vi.fn(vault.seal)
    const { verifications, requestFor } = storeOn(
      connection.redis,
      {},
      { prefix: shared, vault: { ...vault, seal } },
    )
    await say('stop')
    for (let times = 0; times < 5; times++)
      expect(await verifications.start(requestFor(destination))).toEqual(OPTED_OUT)
    expect(seal).toHaveBeenCalledTimes(1)
    await say('start')
    expect(await verifications.start(requestFor(destination))).toMatchObject({ kind: 'started' })
  })

  it('is refused by every application and for every purpose', async () => {
    const { say, tryStart } = optOuts()
    await say('stop')
    expect(await tryStart({ application: 'bank' as Application })).toEqual(OPTED_OUT)
    expect(await tryStart({ purpose: 'payment' })).toEqual(OPTED_OUT)
  })

  it('is refused a resend by its id, before the wait is looked at', async () => {
    const { say, queuedSend, verifications } = optOuts()
    const { id } = await queuedSend()
    await say('stop')
    expect(await verifications.resend(APPLICATION, id)).toEqual(OPTED_OUT)
  })

  it('can still check the code it was sent', async () => {
    const { say, queuedSend, codeFor, check } = optOuts()
    const { id } = await queuedSend()
    await say('stop')
    expect(await check(id, await codeFor(id))).toMatchObject({ kind: 'checked', verdict: 'approved' })
  })

  it('stops no other number', async () => {
    const { say, start } = optOuts()
    await say('stop')
    expect(await start(freshDestination())).toMatchObject({ kind: 'started' })
  })

  it('is kept without the number, by the number of ours it wrote to, for five years', async () => {
    const store = optOuts()
    await store.say('stop')
    const [[sender, told] = []] = Object.entries(await connection.redis.hgetall(store.suppression))
    expect(sender).toBe(OURS)
    expect(Math.abs(Number(told) - Date.now())).toBeLessThan(60_000)
    expect((await connection.redis.keys(`${store.prefix}:*`)).join()).not.toContain(
      store.destination.slice(1),
    )
    const years = (await connection.redis.pttl(store.suppression)) / (365 * 24 * 3_600_000)
    expect(years).toBeGreaterThan(4.99)
    expect(years).toBeLessThanOrEqual(5)
  })

  it('is given the first answer again for an Idempotency-Key from before', async () => {
    const { say, tryStart } = optOuts()
    const first = await tryStart({ idempotencyKey: 'order-1' })
    await say('stop')
    expect(await tryStart({ idempotencyKey: 'order-1' })).toEqual(first)
  })
})

describe('a send that was queued before the STOP', () => {
  it('does not leave, and ends visibly', async () => {
    const { say, queuedSend, hash } = optOuts()
    const { id, claim } = await queuedSend()
    await say('stop')
    const ended = { kind: 'closed', why: 'suppressed' }
    expect(await claim()).toEqual({ ...ended, ended: 'recipient_opted_out' })
    expect(await hash(id)).toMatchObject({
      status: 'pending',
      '1:state': 'suppressed',
      '1:reason': 'recipient_opted_out',
      '1:submitted': '0',
    })
    expect(await claim('again')).toEqual(ended)
  })

  it('that waited for its next attempt does not leave either', async () => {
    const { say, queuedSend, deliveries } = optOuts()
    const { send, claim } = await queuedSend()
    await claim()
    const busy = { kind: 'busy', reason: 'not_connected' } as const
    await deliveries.record(send, { token: 'first', outcome: busy, waitMs: 60_000 })
    await say('stop')
    expect(await claim('second')).toMatchObject({ kind: 'closed', why: 'suppressed' })
  })

  it('and became unknown is not made again, and stays unknown', async () => {
    const { say, queuedSend, deliveries } = optOuts({ receiptWaitMs: 0 })
    const { send, claim, state } = await queuedSend()
    await claim()
    const unknown = { kind: 'unknown', reason: 'timeout' } as const
    await deliveries.record(send, { token: 'first', outcome: unknown, waitMs: 0 })
    await say('stop')
    expect(await claim('second')).toEqual({ kind: 'closed', why: 'unknown' })
    expect(await state()).toBe('unknown')
  })

  it('is not brought to the queue again and again', async () => {
    const { say, queuedSend, deliveries } = optOuts({ sweepAfterMs: 0 })
    const { claim } = await queuedSend()
    await say('stop')
    await claim()
    expect(await deliveries.sweep(APPLICATION, 10)).toEqual({ looked: 0, sends: [] })
  })

  it('whose claim’s answer was lost is not given again', async () => {
    const { say, queuedSend } = optOuts()
    const { claim } = await queuedSend()
    await claim('mine')
    await say('stop')
    expect(await claim('mine')).toMatchObject({ kind: 'wait' })
  })

  it('is moved by no receipt that claims otherwise', async () => {
    const { say, queuedSend, deliveries } = optOuts()
    const { send, claim, state } = await queuedSend()
    await say('stop')
    await claim()
    await deliveries.takeReceipt(send, { messageId: 'm', state: 'delivered' })
    expect(await state()).toBe('suppressed')
  })
})

describe('a STOP and fifty claims at the same time', () => {
  it('let a message leave only before the STOP, never after it', async () => {
    for (let round = 0; round < 20; round++) {
      const { say, queuedSend, tryStart } = optOuts()
      const { claim, state } = await queuedSend()
      const order: string[] = []
      const asked = Array.from({ length: 50 }, (_, worker) => async () => {
        const { kind } = await claim(`w${worker}`)
        order.push(kind)
      })
      asked.splice((round * 7) % 50, 0, async () => {
        await say('stop')
        order.push('stop')
      })
      await Promise.all(asked.map((ask) => ask()))
      // One connection answers in the order Redis ran them.
      const afterStop = order.slice(order.indexOf('stop'))
      expect(afterStop).not.toContain('claimed')
      expect(order.filter((kind) => kind === 'claimed').length).toBeLessThanOrEqual(1)
      expect(await state()).toBe(order.includes('claimed') ? 'submitting' : 'suppressed')
      expect(await tryStart()).toEqual(OPTED_OUT)
    }
  })
})

describe('a START', () => {
  it('lets codes be sent again', async () => {
    const { say, tryStart, suppression } = optOuts()
    await say('stop')
    expect(await tryStart()).toEqual(OPTED_OUT)
    await say('start')
    expect(await connection.redis.exists(suppression)).toBe(0)
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it('to one of our numbers lifts what another was told, so that nobody is lost with a number we give up', async () => {
    const { say, tryStart } = optOuts()
    await say('stop', { sender: OTHER })
    await say('stop', { sender: OURS })
    await say('start', { sender: OURS })
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it('that seems a moment older than the STOP before it counts as told: times are exact to a second', async () => {
    const { say, tryStart } = optOuts()
    await say('stop')
    expect(await say('start', { agoMs: 900 })).toBe('answer')
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it('that comes late does not undo a newer STOP, and is not told that it did', async () => {
    const { say, tryStart } = optOuts()
    await say('stop', { agoMs: 10_000 })
    expect(await say('start', { agoMs: 60_000 })).toBe('silent')
    expect(await tryStart()).toEqual(OPTED_OUT)
    expect(await say('start')).toBe('answer')
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it('of a number that never stopped changes nothing and is answered', async () => {
    const { say, tryStart } = optOuts()
    expect(await say('start')).toBe('answer')
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })
})

describe('after a START', () => {
  const waits = { resendWaitsMs: [0, 0, 0] }
  const claimOf = (store: ReturnType<typeof optOuts>, id: string, send: number) =>
    store.deliveries.claim(
      { application: APPLICATION, verification: id as VerificationId, send },
      `claim-${send}`,
    )

  it.each(['by its id', 'by starting again'])(
    'a send that a STOP ended is ordered again %s, and leaves with the code it had',
    async (way) => {
      const store = optOuts(waits)
      const { id, claim } = await store.queuedSend()
      const code = await store.codeFor(id)
      await store.say('stop')
      await claim()
      await store.say('start')
      const again =
        way === 'by its id' ? await store.verifications.resend(APPLICATION, id) : await store.tryStart()
      expect(again).toMatchObject({ kind: 'sent_again', id, send: 2 })
      expect(await claimOf(store, id, 2)).toMatchObject({ kind: 'claimed', code })
    },
  )

  it('what was held back from a silent caller is sent when it asks again', async () => {
    const store = optOuts(waits)
    const silent = { silent: true }
    await store.say('stop')
    const { id } = await store.start(store.destination, silent)
    expect(await store.start(store.destination, silent)).toMatchObject({ id, send: 2 })
    expect(await store.hash(id)).toMatchObject({ '2:state': 'suppressed', held: 'recipient_opted_out' })
    await store.say('start')
    expect(await store.start(store.destination, silent)).toMatchObject({ kind: 'sent_again', id, send: 3 })
    expect(await store.hash(id)).toMatchObject({ '3:state': 'queued' })
    expect(await store.hash(id)).not.toHaveProperty('held')
    const claim = await claimOf(store, id, 3)
    expect(claim).toMatchObject({ kind: 'claimed', destination: store.destination })
    expect(await store.check(id, await store.codeFor(id))).toMatchObject({ verdict: 'approved' })
  })

  it('that send counts for the budgets, which those held back did not', async () => {
    const store = optOuts({
      ...waits,
      rules: [
        { name: 'test', scope: 'overall', counts: 'sends', windowMs: 60_000, max: 1, mode: 'block' } as const,
      ],
    })
    await store.say('stop')
    await store.start(store.destination, { silent: true })
    await store.say('start')
    await store.start(store.destination, { silent: true })
    expect(await store.verifications.start(store.requestFor(freshDestination()))).toMatchObject({
      refusal: 'traffic_limit',
    })
  })

  it('the wait between two sends is kept, as for any number', async () => {
    const store = optOuts()
    await store.say('stop')
    await store.start(store.destination, { silent: true })
    await store.say('start')
    expect(await store.tryStart({ silent: true })).toMatchObject({ refusal: 'resend_cooldown' })
  })

  it('and another STOP it is held back again', async () => {
    const store = optOuts(waits)
    const { id } = await store.start(store.destination, { silent: true })
    await store.say('stop', { agoMs: 20_000 })
    await store.say('start', { agoMs: 10_000 })
    await store.say('stop')
    await store.start(store.destination, { silent: true })
    expect(await store.hash(id)).toMatchObject({ '2:state': 'suppressed', '2:reason': 'recipient_opted_out' })
  })

  it('what began as a test number’s, whose code is known, is still sent to nobody', async () => {
    const store = optOuts(waits)
    const { id } = await store.start(store.destination, { held: 'test_number', testCode: codeOf('123456') })
    await store.start(store.destination, { silent: true })
    expect(await store.hash(id)).toMatchObject({ '2:state': 'suppressed', '2:reason': 'test_number' })
    await store.verifications.resend(APPLICATION, id)
    expect(await store.hash(id)).toMatchObject({ '3:state': 'suppressed', '3:reason': 'test_number' })
  })
})

it('HELP is answered and changes nothing, for a number that stopped too', async () => {
  const { say, tryStart } = optOuts()
  expect(await say('help')).toBe('answer')
  expect(await tryStart()).toMatchObject({ kind: 'started' })
  await say('stop')
  expect(await say('help', { sender: OTHER })).toBe('answer')
  expect(await tryStart()).toEqual(OPTED_OUT)
})

describe('an answer', () => {
  it.each(['stop', 'start', 'help'] as const)(
    'to %s is given once, however often it is said',
    async (keyword) => {
      const { say } = optOuts()
      const said = await Promise.all(Array.from({ length: 100 }, () => say(keyword)))
      expect(said.filter((kind) => kind === 'answer')).toHaveLength(1)
    },
  )

  it('to each keyword, to each number and by each of our numbers is given apart', async () => {
    const { say } = optOuts()
    const from = freshDestination()
    expect(await say('help')).toBe('answer')
    expect(await say('stop')).toBe('answer')
    expect(await say('help', { sender: OTHER })).toBe('answer')
    expect(await say('help', { from })).toBe('answer')
    expect(await say('help')).toBe('silent')
  })

  it('may be given again when its wait is over', async () => {
    const { say } = optOuts({ replyWaitMs: 1 })
    expect(await say('help')).toBe('answer')
    await expect.poll(() => say('help')).toBe('answer')
  })

  it('is held back for a day', async () => {
    const { say, keys, vault, destination } = optOuts()
    await say('help')
    const ttl = await connection.redis.pttl(keys.answer(vault.tagDestination(destination), OURS, 'help'))
    expect(ttl).toBeGreaterThan(86_390_000)
    expect(ttl).toBeLessThanOrEqual(86_400_000)
  })

  it('that was lost on its way from Redis is given again to the same message', async () => {
    const { say } = optOuts()
    expect(await say('stop', { token: 'mine' })).toBe('answer')
    expect(await say('stop', { token: 'mine' })).toBe('answer')
    expect(await say('stop', { token: 'other' })).toBe('silent')
  })
})

describe('an answer that is left to a worker', () => {
  const left = () => {
    const store = optOuts()
    const leave = (token: string, keyword: Keyword = 'stop') =>
      store.suppressions.heed({
        keyword,
        destination: store.destination,
        sender: OURS,
        agoMs: 0,
        token,
        leave: true,
      })
    return { ...store, leave }
  }

  it('is taken once, with what it is for', async () => {
    const { leave, suppressions, destination, tryStart } = left()
    expect(await leave('one')).toEqual({ kind: 'answer' })
    expect(await tryStart()).toEqual(OPTED_OUT)
    const reply = { keyword: 'stop', destination, sender: OURS, agoMs: expect.closeTo(0, -3) }
    expect(await suppressions.takeUnanswered(10)).toEqual({ taken: 1, replies: [reply] })
    expect(await suppressions.takeUnanswered(10)).toEqual({ taken: 0, replies: [] })
  })

  it('is left once, however often the message is told, and not for one that is silent', async () => {
    const { leave, suppressions } = left()
    for (const token of ['one', 'one', 'two']) await leave(token)
    expect(await suppressions.takeUnanswered(10)).toMatchObject({ taken: 1 })
  })

  it('lies in Redis without the number, for five minutes', async () => {
    const { leave, keys, destination } = left()
    await leave('one')
    const [entry = ''] = await connection.redis.lrange(keys.unanswered(), 0, -1)
    expect(entry).toMatch(/^\d{13} stop \+12025550199 k1\./)
    expect(entry).not.toContain(destination.slice(-7))
    expect(await connection.redis.pttl(keys.unanswered())).toBeGreaterThan(299_000)
  })

  it('whose key a worker lacks is dropped, and counted', async () => {
    const { suppressions, destination, prefix: same } = left()
    const newer = storeOn(connection.redis, {}, { prefix: same, vault: rotatedVault })
    const message = { keyword: 'stop', destination, sender: OURS, agoMs: 0, token: 'one' } as const
    await newer.suppressions.heed({ ...message, leave: true })
    expect(await suppressions.takeUnanswered(10)).toEqual({ taken: 1, replies: [] })
  })

  it('goes before those that came after it, and the oldest go when nobody comes for ten thousand', async () => {
    const { leave, keys, suppressions } = left()
    const filler = Array.from({ length: 9_999 }, () => '1 stop +1 k1.x')
    await connection.redis.rpush(keys.unanswered(), '1 first', ...filler)
    await leave('one')
    expect(await connection.redis.llen(keys.unanswered())).toBe(10_000)
    expect(await connection.redis.lindex(keys.unanswered(), 0)).toBe('1 stop +1 k1.x')
    expect((await suppressions.takeUnanswered(10_000)).replies).toMatchObject([{ keyword: 'stop' }])
  })
})
