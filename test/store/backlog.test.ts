/**
 * More codes are asked for than can leave: who is told so, what leaves all the same, and that none leaves late. On the
 * scripts' own clock, with a queue as simple as can be.
 */
import { describe, expect, it } from 'vitest'
import { senderAt, sendOf, startMany, useClockedStores } from '#test/fixtures/clock.ts'
import { APPLICATION, freshDestination } from '#test/fixtures/store.ts'
import type { SendReference } from '#verification/verification.ts'

const { connection, storeWith: clockedStoreWith } = useClockedStores()

/** One segment a second, and ten seconds in which a code is worth sending. */
async function storeWith(policy = {}, senders = [senderAt(1)]) {
  const short = { codeTtlMs: 70_000, sendReserveMs: 60_000, ...policy }
  const store = await clockedStoreWith({ senders, policy: short })
  const start = (more = {}) => store.verifications.start(store.requestFor(freshDestination(), more))
  return { ...store, tryStart: start }
}

const BACKLOG = { kind: 'refused', refusal: 'delivery_backlog', retryAfterMs: 5_000 }

describe('a start', () => {
  it('is taken while all that waits leaves in time, and refused beyond', async () => {
    const store = await storeWith()
    await startMany(store, 10, 0)
    expect(await store.tryStart()).toMatchObject({ kind: 'started' })
    expect(await store.tryStart()).toEqual(BACKLOG)
    expect(await store.waiting()).toBe(11)
  })

  it('is refused without a trace', async () => {
    const store = await storeWith()
    await startMany(store, 11, 0)
    const before = await connection.redis.keys(`{${store.prefix}}:*`)
    expect(await store.tryStart()).toEqual(BACKLOG)
    expect((await connection.redis.keys(`{${store.prefix}}:*`)).sort()).toEqual(before.sort())
  })

  it('is told by how much it would be late, five seconds at the least', async () => {
    const store = await storeWith({ backlogRetryMs: 0 })
    await startMany(store, 11, 0)
    expect(await store.tryStart()).toEqual({ ...BACKLOG, retryAfterMs: 1_000 })
  })

  it('is taken again once something has left, has ended, or is too late', async () => {
    const store = await storeWith()
    const [first, second] = (await startMany(store, 11, 0)) as [SendReference, SendReference]
    expect(await store.deliveries.claim(first, 't')).toMatchObject({ kind: 'claimed' })
    expect(await store.tryStart()).toMatchObject({ kind: 'started' })
    expect(await store.tryStart()).toEqual(BACKLOG)
    await store.verifications.cancel(APPLICATION, second.verification)
    expect(await store.tryStart()).toMatchObject({ kind: 'started' })
    expect(await store.tryStart()).toEqual(BACKLOG)
    await store.setTime(10_000)
    expect(await store.tryStart()).toMatchObject({ kind: 'started' })
  })

  it('for a number of ours with room is taken, whatever waits for another', async () => {
    const other = '+12025550188'
    const store = await storeWith({}, [senderAt(1), senderAt(1, other)])
    const results = new Set<string>()
    for (let round = 0; round < 60; round++) {
      const started = await store.tryStart()
      results.add(started.kind)
    }
    expect(results).toEqual(new Set(['started', 'refused']))
    expect([await store.waiting(), await store.waiting(other)]).toEqual([11, 11])
  })

  it('of a silent caller is refused like any other, also for a number that would be sent nothing', async () => {
    const store = await storeWith()
    await startMany(store, 11, 0)
    const silent = { silent: true }
    expect(await store.tryStart(silent)).toEqual(BACKLOG)
    expect(await store.tryStart({ ...silent, held: 'number_denied' })).toEqual(BACKLOG)
  })

  it('of a test number is taken: nothing of it is ever sent', async () => {
    const store = await storeWith()
    await startMany(store, 11, 0)
    expect(await store.tryStart({ held: 'test_number' })).toMatchObject({ kind: 'started' })
  })

  it('is told of the number’s own limits before it is told of the backlog', async () => {
    const store = await storeWith()
    const destination = freshDestination()
    await store.start(destination)
    await startMany(store, 10, 0)
    const again = await store.verifications.start(store.requestFor(destination))
    expect(again).toMatchObject({ refusal: 'resend_cooldown' })
  })
})

describe('a resend', () => {
  it('is refused when its own code would be too old by then, though a new one would not be', async () => {
    const store = await storeWith({ resendWaitsMs: [0, 0, 0] })
    const { id } = await store.start(freshDestination())
    await store.deliveries.claim(sendOf(id), 't')
    await store.setTime(6_000)
    await startMany(store, 4, 0)
    expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({ kind: 'sent_again' })
    expect(await store.verifications.resend(APPLICATION, id)).toEqual(BACKLOG)
    expect(await store.tryStart()).toMatchObject({ kind: 'started' })
  })
})

/** What the codes come to that are asked for at `load` times what a number can send, for five lives of a code. */
async function storm(perSecond: number, load: number) {
  const [codeTtlMs, sendReserveMs, stepMs] = [60_000, 12_000, 50]
  const store = await clockedStoreWith({
    senders: [senderAt(perSecond)],
    policy: { codeTtlMs, sendReserveMs },
  })
  const lastedMs = 5 * codeTtlMs
  /** The queue: when each send is looked at next. */
  const jobs = new Map<string, { send: SendReference; at: number }>()
  const enqueue = (send: SendReference) => {
    if (!jobs.has(send.verification)) jobs.set(send.verification, { send, at: store.sinceBegin() })
  }
  const taken: SendReference[] = []
  const told: (number | undefined)[] = []
  const sent: { at: number; leftMs: number; ageMs: number }[] = []
  let looks = 0

  async function look(name: string, send: SendReference): Promise<void> {
    looks += 1
    const claim = await store.deliveries.claim(send, `t${looks}`)
    const now = store.sinceBegin()
    if (claim.kind === 'wait') jobs.set(name, { send, at: now + claim.waitMs })
    else jobs.delete(name)
    if (claim.kind !== 'claimed') return
    if (claim.againMs !== undefined) jobs.set(name, { send, at: now + claim.againMs })
    const leftMs = claim.deadlineMs + sendReserveMs
    sent.push({ at: now, leftMs, ageMs: codeTtlMs - leftMs })
    const outcome = { kind: 'accepted', messageId: 'm' } as const
    await store.deliveries.record(claim.send, { token: `t${looks}`, outcome, waitMs: 0 })
  }

  let asked = 0
  for (let now = 0; now < lastedMs || jobs.size > 0; now += stepMs) {
    await store.setTime(now)
    for (; now < lastedMs && asked < (load * perSecond * now) / 1_000; asked++) {
      const started = await store.verifications.start(store.requestFor(freshDestination()))
      if (started.kind === 'refused') {
        expect(started.refusal).toBe('delivery_backlog')
        told.push(started.retryAfterMs)
      } else {
        taken.push(sendOf(started.id))
        enqueue(sendOf(started.id))
      }
    }
    if (now % 1_000 === 0)
      for (const send of (await store.deliveries.sweep(APPLICATION, 1_000)).sends) enqueue(send)
    for (const [name, { send, at }] of [...jobs]) if (at <= now) await look(name, send)
  }
  const ends = await Promise.all(taken.map(async ({ verification }) => store.hash(verification)))
  const states = ends.map((hash) => `${hash['1:state']} ${hash['1:reason'] ?? ''}`.trim())
  return {
    asked,
    taken,
    told,
    sent,
    states,
    looks,
    waiting: await store.waiting(),
    lastedMs,
    sendReserveMs,
    perSecond,
  }
}

describe.each([2, 4])('at %d times what a number can send, for five lives of a code,', (load) => {
  let all: ReturnType<typeof storm> | undefined
  const stormed = () => {
    all ??= storm(2, load)
    return all
  }

  it('nearly all it can send are codes that can still be typed', async () => {
    const { sent, lastedMs, sendReserveMs, perSecond } = await stormed()
    const useful = sent.filter(({ at, leftMs }) => at < lastedMs && leftMs >= sendReserveMs)
    expect(useful.length / ((perSecond * lastedMs) / 1_000)).toBeGreaterThanOrEqual(0.95)
  })

  it('none is sent late, and nothing waits in the end', async () => {
    const { sent, sendReserveMs, waiting } = await stormed()
    expect(sent.filter(({ leftMs }) => leftMs < sendReserveMs)).toEqual([])
    expect(waiting).toBe(0)
  })

  it('everybody else is told: refused with a time to wait, or expired with a reason', async () => {
    const { told, states, sent, asked } = await stormed()
    expect(told.every((retryAfterMs) => (retryAfterMs ?? 0) >= 5_000)).toBe(true)
    // At twice the rate as much becomes too late as is asked for; beyond that the line is full.
    expect(told.length > 0).toBe(load > 2)
    const count = (wanted: string) => states.filter((state) => state === wanted).length
    expect(count('accepted')).toBe(sent.length)
    expect(sent.length + count('expired not_sent_in_time') + told.length).toBe(asked)
  })

  it('who gets a code gets it soon: half of them within a second, nine of ten within ten', async () => {
    const ages = (await stormed()).sent.map(({ ageMs }) => ageMs).sort((a, b) => a - b)
    expect(ages[Math.floor(ages.length * 0.5)]).toBeLessThanOrEqual(1_000)
    expect(ages[Math.floor(ages.length * 0.9)]).toBeLessThanOrEqual(10_000)
  })

  it('what waits is looked at no more often than a few times for each message that leaves', async () => {
    const { looks, sent } = await stormed()
    expect(looks / sent.length).toBeLessThan(12)
  })
})
