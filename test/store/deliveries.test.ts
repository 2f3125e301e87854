/** The ledger of a send, transition by transition, on a real Redis. docs/states.md draws what is shown here. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Recorded } from '#store/deliveries.ts'
import { clockedStoreOn, senderAt, sendOf } from '#test/fixtures/clock.ts'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import {
  APPLICATION,
  freshDestination,
  rotatedVault,
  startedOf,
  storeOn,
  wrongFor,
} from '#test/fixtures/store.ts'
import type { Outcome, ReceiptState } from '#verification/outcome.ts'
import { type Application, formatReference } from '#verification/verification.ts'

const connection = useRedis()
let prefix = ''
const noWait = { resendWaitsMs: [0, 0, 0] }
const accepted: Outcome = { kind: 'accepted', messageId: 'm-1' }
const unknown: Outcome = { kind: 'unknown', reason: 'connection_lost' }
const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
const rejected: Outcome = { kind: 'rejected', reason: 'refused_by_provider' }

async function queued(overrides = {}) {
  const store = storeOn(connection.redis, overrides)
  prefix = store.prefix
  const destination = freshDestination()
  const { id } = await store.start(destination)
  const send = { application: APPLICATION, verification: id, send: 1 }
  return {
    ...store,
    destination,
    id,
    send,
    claim: (token = 'first') => store.deliveries.claim(send, token),
    record: (outcome: Outcome, token = 'first', waitMs = 0) =>
      store.deliveries.record(send, { token, outcome, waitMs }),
    receipt: (state: ReceiptState, messageId = 'm-1') =>
      store.deliveries.takeReceipt(send, { messageId, state }),
    state: async () => (await store.hash(id))['1:state'],
  }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('a claim', () => {
  it('says how long ago its send was ordered, at each attempt', async () => {
    const store = await clockedStoreOn(connection.redis, { senders: [senderAt(10)] })
    const send = sendOf((await store.start(freshDestination())).id)
    prefix = store.prefix
    await store.setTime(1_500)
    expect(await store.deliveries.claim(send, 'first')).toMatchObject({ attempt: 1, queuedMs: 1_500 })
    await store.deliveries.record(send, { token: 'first', outcome: busy, waitMs: 1_000 })
    await store.setTime(4_000)
    expect(await store.deliveries.claim(send, 'second')).toMatchObject({ attempt: 2, queuedMs: 4_000 })
  })

  it('hands out number, code and deadline, and holds the send', async () => {
    const ledger = await queued()
    const code = await ledger.codeFor(ledger.id)
    const claim = await ledger.claim()
    expect(claim).toMatchObject({
      kind: 'claimed',
      destination: ledger.destination,
      code,
      locale: 'en',
      attempt: 1,
    })
    expect((claim.kind === 'claimed' && claim.deadlineMs) || 0).toBeGreaterThan(239_000)
    expect(await ledger.claim('second')).toMatchObject({ kind: 'wait' })
  })

  it('whose answer was lost is given again to the same token, as the same attempt', async () => {
    const ledger = await queued()
    const first = await ledger.claim('mine')
    expect(await ledger.claim('mine')).toMatchObject({
      kind: 'claimed',
      attempt: 1,
      code: first.kind === 'claimed' && first.code,
    })
    expect((await ledger.hash(ledger.id))['1:submitted']).toBe('1')
    await ledger.verifications.cancel(APPLICATION, ledger.id)
    expect(await ledger.claim('mine')).not.toMatchObject({ kind: 'claimed' })
  })

  it('whose answer was lost is not given again once a newer send was ordered', async () => {
    const ledger = await queued(noWait)
    await ledger.claim('mine')
    await ledger.verifications.resend(APPLICATION, ledger.id)
    expect(await ledger.claim('mine')).toMatchObject({ kind: 'wait' })
  })

  it('is given to one of fifty workers who ask at the same time', async () => {
    const ledger = await queued()
    const claims = await Promise.all(Array.from({ length: 50 }, (_, worker) => ledger.claim(`w${worker}`)))
    expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(1)
  })

  it.each([
    ['approved', async (l: Awaited<ReturnType<typeof queued>>) => l.check(l.id, await l.codeFor(l.id))],
    ['canceled', async (l: Awaited<ReturnType<typeof queued>>) => l.verifications.cancel(APPLICATION, l.id)],
    [
      'sent again',
      async (l: Awaited<ReturnType<typeof queued>>) => l.verifications.resend(APPLICATION, l.id),
    ],
  ])('is refused once the verification is %s', async (_, end) => {
    const ledger = await queued(noWait)
    await end(ledger)
    expect(await ledger.claim()).toMatchObject({ kind: 'closed' })
  })

  it('is refused after the last moment to submit, and the send ends visibly', async () => {
    const ledger = await queued({ codeTtlMs: 60_000, sendReserveMs: 60_000 })
    const ended = { kind: 'closed', why: 'expired' }
    expect(await ledger.claim()).toEqual({ ...ended, ended: 'not_sent_in_time' })
    expect(await ledger.claim('again')).toEqual(ended)
    expect(await ledger.hash(ledger.id)).toMatchObject({
      '1:state': 'expired',
      '1:reason': 'not_sent_in_time',
    })
  })

  it('of a verification that is gone is closed', async () => {
    const ledger = await queued()
    await connection.redis.del(ledger.keys.verification(APPLICATION, ledger.id))
    expect(await ledger.claim()).toEqual({ kind: 'closed', why: 'gone' })
  })

  it('tells from which number an attempt may have left whose worker was lost, whatever our numbers are now', async () => {
    const from = (number: string) => [{ number, kind: '10dlc', perSecond: 100_000 }] as const
    const noWait = { leaseMs: 0, receiptWaitMs: 0 }
    const ledger = await queued(noWait)
    const claim = (number: string, token: string) =>
      storeOn(connection.redis, noWait, ledger, undefined, from(number)).deliveries.claim(ledger.send, token)
    const given = await claim('+12025550191', 'first')
    expect(given).toMatchObject({ from: '+12025550191' })
    expect(given).not.toHaveProperty('mayHaveLeftFrom')
    await ledger.record(busy)
    await claim('+12025550192', 'lost')
    expect(await claim('+12025550193', 'third')).toMatchObject({
      from: '+12025550193',
      mayHaveLeftFrom: '+12025550192',
    })
  })

  it('of an attempt whose worker was lost is a second submission, and there is no third', async () => {
    const ledger = await queued({ leaseMs: 0, receiptWaitMs: 0 })
    await ledger.claim('lost')
    expect(await ledger.claim('second')).toMatchObject({ kind: 'claimed', attempt: 2 })
    expect(await ledger.claim('third')).toEqual({ kind: 'closed', why: 'unknown' })
    expect(await ledger.hash(ledger.id)).toMatchObject({ '1:state': 'unknown', '1:reason': 'worker_lost' })
  })

  it('of a lost attempt is refused under UNKNOWN=stop', async () => {
    const ledger = await queued({ leaseMs: 0, unknown: 'stop' as const })
    await ledger.claim('lost')
    expect(await ledger.claim('second')).toEqual({ kind: 'closed', why: 'unknown' })
  })
})

/** Lease and wait for a receipt as they are, on a clock that goes as it is told. */
async function lost(overrides = {}) {
  const store = await clockedStoreOn(connection.redis, { senders: [senderAt(10)], policy: overrides })
  const { id } = await store.start(freshDestination())
  prefix = store.prefix
  const send = sendOf(id)
  const claim = (token = 'lost') => store.deliveries.claim(send, token)
  await claim()
  return {
    ...store,
    id,
    send,
    claim,
    record: (outcome: Outcome, waitMs = 0) =>
      store.deliveries.record(send, { token: 'lost', outcome, waitMs }),
    sweep: () => store.deliveries.sweep(APPLICATION, 10),
    state: async () => (await store.hash(id))['1:state'],
  }
}

describe('an attempt whose lease ran out', () => {
  it('waits for a receipt before the one more submission, since somebody noticed', async () => {
    const ledger = await lost()
    await ledger.setTime(20_000)
    expect(await ledger.claim('second')).toEqual({ kind: 'wait', waitMs: 10_000 })
    await ledger.setTime(29_999)
    expect(await ledger.claim('second')).toEqual({ kind: 'wait', waitMs: 1 })
    await ledger.setTime(30_000)
    expect(await ledger.claim('second')).toMatchObject({ kind: 'claimed', attempt: 2 })
  })

  it('is noticed by the sweeper the moment it does, so that the wait begins', async () => {
    const ledger = await lost()
    await ledger.setTime(12_999)
    expect(await ledger.sweep()).toEqual({ looked: 0, sends: [] })
    await ledger.setTime(13_000)
    expect(await ledger.sweep()).toEqual({ looked: 1, sends: [ledger.send] })
    expect(await ledger.state()).toBe('unknown')
    await ledger.setTime(20_000)
    expect(await ledger.claim('second')).toEqual({ kind: 'wait', waitMs: 3_000 })
    expect(await ledger.waiting()).toBe(1)
    await ledger.setTime(28_000)
    expect(await ledger.sweep()).toEqual({ looked: 1, sends: [ledger.send] })
  })

  it('is settled by a receipt that comes in that wait: no second message leaves', async () => {
    const ledger = await lost()
    await ledger.setTime(13_000)
    await ledger.sweep()
    await ledger.setTime(22_000)
    await ledger.deliveries.takeReceipt(ledger.send, { messageId: 'm-1', state: 'sent' })
    await ledger.setTime(30_000)
    expect(await ledger.claim('second')).toEqual({ kind: 'closed', why: 'accepted' })
    expect(await ledger.waiting()).toBe(0)
  })

  it.each<[Outcome, Recorded, object]>([
    [accepted, { kind: 'recorded', state: 'accepted' }, { '1:submitted': '1', '1:message': 'm-1' }],
    [rejected, { kind: 'recorded', state: 'rejected' }, { '1:submitted': '1' }],
    [busy, { kind: 'retry', waitMs: 0 }, { '1:state': 'queued', '1:submitted': '0' }],
    [unknown, { kind: 'retry', waitMs: 7_000 }, { '1:state': 'unknown', '1:reason': 'connection_lost' }],
    [{ kind: 'found', messageId: 'm-1' }, { kind: 'recorded', state: 'accepted' }, { '1:submitted': '0' }],
  ])('and is then recorded as %j is believed, overtaken by nobody', async (outcome, recorded, hash) => {
    const ledger = await lost()
    await ledger.setTime(13_000)
    await ledger.sweep()
    await ledger.setTime(16_000)
    expect(await ledger.record(outcome)).toEqual(recorded)
    expect(await ledger.hash(ledger.id)).toMatchObject(hash)
    const waits = recorded.kind === 'retry' ? 1 : 0
    expect(await ledger.waiting()).toBe(waits)
  })

  it.each([
    ['under UNKNOWN=stop', { unknown: 'stop' as const }, async () => {}],
    [
      'once the verification has ended',
      {},
      (l: Awaited<ReturnType<typeof lost>>) => l.verifications.cancel(APPLICATION, l.id),
    ],
  ])('waits for nothing %s', async (_, overrides, end) => {
    const ledger = await lost(overrides)
    await end(ledger)
    await ledger.setTime(20_000)
    expect(await ledger.claim('second')).toEqual({ kind: 'closed', why: 'unknown' })
    expect(await ledger.waiting()).toBe(0)
  })
})

describe('an older send', () => {
  const send1 = async () => {
    const ledger = await queued({ ...noWait, receiptWaitMs: 0, sweepAfterMs: 0 })
    await ledger.claim()
    return ledger
  }

  it('that was unknown is not submitted again once a newer one was ordered', async () => {
    const ledger = await send1()
    await ledger.record(unknown)
    await ledger.verifications.resend(APPLICATION, ledger.id)
    expect(await ledger.claim('second')).toEqual({ kind: 'closed', why: 'unknown' })
  })

  it('that comes back unsent after a newer one was ordered is superseded', async () => {
    const ledger = await send1()
    await ledger.verifications.resend(APPLICATION, ledger.id)
    expect(await ledger.record(busy)).toEqual({ kind: 'recorded', state: 'superseded' })
  })

  it('is not named by the sweeper', async () => {
    const ledger = await send1()
    await ledger.record(unknown)
    await ledger.verifications.resend(APPLICATION, ledger.id)
    const swept: unknown[] = []
    await expect
      .poll(async () => {
        swept.push(...(await ledger.deliveries.sweep(APPLICATION, 10)).sends)
        return swept.length
      })
      .toBeGreaterThan(0)
    expect(swept).toEqual([{ ...ledger.send, send: 2 }])
  })

  it('at rest leaves the newer one, still in hand, on the agenda of an ended verification', async () => {
    const ledger = await send1()
    await ledger.verifications.resend(APPLICATION, ledger.id)
    await ledger.deliveries.claim({ ...ledger.send, send: 2 }, 'other')
    await ledger.verifications.cancel(APPLICATION, ledger.id)
    await ledger.record(accepted)
    expect(await connection.redis.zscore(ledger.keys.agenda(APPLICATION), ledger.id)).not.toBeNull()
  })
})

describe('a claim of a send sealed with a key this worker does not have', () => {
  it('is unreadable, can be given back, and is read by a worker that has the key', async () => {
    const ledger = await queued()
    const newer = storeOn(connection.redis, {}, { prefix: ledger.prefix, vault: rotatedVault })
    const { id } = await newer.start(freshDestination())
    const send = { application: APPLICATION, verification: id, send: 1 }
    expect(await ledger.deliveries.claim(send, 'old')).toEqual({
      kind: 'unusable',
      send,
      explain: '',
      attempt: 1,
      queuedMs: expect.any(Number),
      deadlineMs: expect.any(Number),
      reason: 'key_unknown',
    })
    const outcome: Outcome = { kind: 'busy', reason: 'key_unknown' }
    await ledger.deliveries.record(send, { token: 'old', outcome, waitMs: 0 })
    expect(await newer.deliveries.claim(send, 'new')).toMatchObject({ kind: 'claimed' })
  })
})

describe('a claim of an unknown send', () => {
  it('is refused once the code was approved: its message did arrive', async () => {
    const ledger = await queued({ receiptWaitMs: 0 })
    const code = await ledger.codeFor(ledger.id)
    await ledger.claim()
    await ledger.record(unknown)
    await ledger.check(ledger.id, code)
    expect(await ledger.claim('second')).toEqual({ kind: 'closed', why: 'unknown' })
  })
})

describe('an outcome', () => {
  it('accepted closes the send and keeps the provider’s id', async () => {
    const ledger = await queued()
    await ledger.claim()
    expect(await ledger.record(accepted)).toEqual({ kind: 'recorded', state: 'accepted' })
    expect(await ledger.hash(ledger.id)).toMatchObject({ '1:state': 'accepted', '1:message': 'm-1' })
    expect(await ledger.claim('again')).toEqual({ kind: 'closed', why: 'accepted' })
  })

  it('rejected is never tried again', async () => {
    const ledger = await queued()
    await ledger.claim()
    expect(await ledger.record(rejected)).toEqual({ kind: 'recorded', state: 'rejected' })
    expect(await ledger.claim('again')).toEqual({ kind: 'closed', why: 'rejected' })
  })

  it('busy is tried again when its wait is over, as often as it takes', async () => {
    const ledger = await queued()
    for (let attempt = 1; attempt <= 4; attempt++) {
      expect(await ledger.claim(`t${attempt}`)).toMatchObject({ kind: 'claimed', attempt })
      expect(await ledger.record(busy, `t${attempt}`)).toEqual({ kind: 'retry', waitMs: 0 })
    }
    expect(await ledger.hash(ledger.id)).toMatchObject({ '1:state': 'queued', '1:submitted': '0' })
  })

  it.each([
    ['at once', []],
    ['after other trouble, which does not count', [busy, busy]],
  ])('busy for a reason that is asked twice ends rejected the second time: %s', async (_, before) => {
    const ledger = await queued()
    const outcome: Outcome = { kind: 'busy', reason: 'carrier_refused', triesMax: 2 }
    for (const [n, other] of [...before, outcome].entries()) {
      await ledger.claim(`t${n}`)
      expect(await ledger.record(other, `t${n}`)).toEqual({ kind: 'retry', waitMs: 0 })
    }
    await ledger.claim('last')
    expect(await ledger.record(outcome, 'last')).toEqual({ kind: 'recorded', state: 'rejected' })
    expect(await ledger.hash(ledger.id)).toMatchObject({ '1:reason': 'carrier_refused' })
  })

  it('busy is not claimed before its wait is over', async () => {
    const ledger = await queued()
    await ledger.claim()
    await ledger.record(busy, 'first', 5_000)
    const claim = await ledger.claim('early')
    expect((claim.kind === 'wait' && claim.waitMs) || 0).toBeGreaterThan(4_000)
  })

  it('busy for longer than it lives is tried once more, shortly before its last moment', async () => {
    const ledger = await queued()
    await ledger.claim()
    const recorded = await ledger.record(busy, 'first', 3_600_000)
    const waitMs = recorded.kind === 'retry' ? recorded.waitMs : 0
    expect(waitMs).toBeGreaterThan(237_000)
    expect(waitMs).toBeLessThanOrEqual(238_000)
    expect(await ledger.hash(ledger.id)).toMatchObject({ '1:state': 'queued', '1:submitted': '0' })
  })

  it('busy with no time for one more ends the send unsent', async () => {
    const ledger = await queued({ lastTryMs: 240_000 })
    await ledger.claim()
    expect(await ledger.record(busy, 'first', 240_000)).toEqual({ kind: 'recorded', state: 'expired' })
    expect(await ledger.hash(ledger.id)).toMatchObject({ '1:reason': 'not_sent_in_time', '1:submitted': '0' })
  })

  it('busy after the verification was canceled ends the send unsent', async () => {
    const ledger = await queued()
    await ledger.claim()
    await ledger.verifications.cancel(APPLICATION, ledger.id)
    expect(await ledger.record(busy)).toEqual({ kind: 'recorded', state: 'canceled' })
    expect(await connection.redis.zscore(ledger.keys.agenda(APPLICATION), ledger.id)).toBeNull()
  })

  it('unknown waits for a receipt before the one more submission', async () => {
    const ledger = await queued({ receiptWaitMs: 5_000 })
    await ledger.claim()
    expect(await ledger.record(unknown)).toEqual({ kind: 'retry', waitMs: 5_000 })
    expect(await ledger.claim('early')).toMatchObject({ kind: 'wait' })
  })

  it('unknown twice stays unknown', async () => {
    const ledger = await queued({ receiptWaitMs: 0 })
    await ledger.claim()
    await ledger.record(unknown)
    await ledger.claim('second')
    expect(await ledger.record(unknown, 'second')).toEqual({ kind: 'recorded', state: 'unknown' })
    expect(await ledger.claim('third')).toEqual({ kind: 'closed', why: 'unknown' })
  })

  it('unknown and then busy may still be tried, and is never told as unsent', async () => {
    const ledger = await queued({ receiptWaitMs: 0, lastTryMs: 240_000 })
    await ledger.claim()
    await ledger.record(unknown)
    await ledger.claim('second')
    expect(await ledger.record(busy, 'second')).toEqual({ kind: 'retry', waitMs: 0 })
    expect(await ledger.state()).toBe('unknown')
    await ledger.claim('third')
    expect(await ledger.record(busy, 'third', 240_000)).toEqual({ kind: 'recorded', state: 'unknown' })
  })

  it('unknown and then rejected stays unknown: the first may have arrived', async () => {
    const ledger = await queued({ receiptWaitMs: 0 })
    await ledger.claim()
    await ledger.record(unknown)
    await ledger.claim('second')
    expect(await ledger.record(rejected, 'second')).toEqual({ kind: 'recorded', state: 'unknown' })
    await ledger.receipt('delivered')
    expect(await ledger.state()).toBe('delivered')
  })

  it('unknown under UNKNOWN=stop ends there', async () => {
    const ledger = await queued({ unknown: 'stop' as const })
    await ledger.claim()
    expect(await ledger.record(unknown)).toEqual({ kind: 'recorded', state: 'unknown' })
  })

  it('of a worker that was overtaken writes nothing', async () => {
    const ledger = await queued({ leaseMs: 0, receiptWaitMs: 0 })
    await ledger.claim('frozen')
    await ledger.claim('second')
    expect(await ledger.record(rejected, 'frozen')).toEqual({ kind: 'stale' })
    expect(await ledger.state()).toBe('submitting')
  })

  it('recorded again, because the answer was lost, is answered alike and counted once', async () => {
    const ledger = await queued()
    await ledger.claim()
    await ledger.record(busy, 'first', 5_000)
    const again = await ledger.record(busy, 'first', 5_000)
    expect(again).toMatchObject({ kind: 'retry' })
    expect((again.kind === 'retry' && again.waitMs) || 0).toBeGreaterThan(4_000)
    expect(await ledger.hash(ledger.id)).toMatchObject({ '1:state': 'queued', '1:submitted': '0' })
  })

  it('unknown too late for one more message leaves none to whoever looks again', async () => {
    const ledger = await queued({ codeTtlMs: 65_000 })
    await ledger.claim()
    expect(await ledger.record(unknown)).toEqual({ kind: 'recorded', state: 'unknown' })
    expect(await ledger.claim('second')).toMatchObject({ kind: 'wait' })
  })

  it('accepted is believed also after its lease ran out, while nobody has overtaken it', async () => {
    const ledger = await queued({ leaseMs: 0 })
    await ledger.claim()
    await ledger.verifications.cancel(APPLICATION, ledger.id)
    await connection.redis.zadd(ledger.keys.agenda(APPLICATION), 1, ledger.id)
    await ledger.deliveries.sweep(APPLICATION, 10)
    expect(await ledger.state()).toBe('unknown')
    expect(await ledger.record(accepted)).toEqual({ kind: 'recorded', state: 'accepted' })
  })

  it('arrives although the verification was approved meanwhile', async () => {
    const ledger = await queued()
    const code = await ledger.codeFor(ledger.id)
    await ledger.claim()
    await ledger.check(ledger.id, code)
    expect(await ledger.record(accepted)).toEqual({ kind: 'recorded', state: 'accepted' })
  })

  it('does not forget the wrong checks that came in between', async () => {
    const ledger = await queued()
    const wrong = wrongFor(await ledger.codeFor(ledger.id))
    await ledger.claim()
    await ledger.check(ledger.id, wrong)
    await ledger.record(accepted)
    expect((await ledger.hash(ledger.id)).wrong).toBe('1')
  })
})

describe('a receipt', () => {
  it.each([
    [['queued', 'initiated', 'sent'], 'accepted'],
    [['sent', 'delivered'], 'delivered'],
    [['delivered', 'sent', 'queued'], 'delivered'],
    [['undelivered', 'sent'], 'undelivered'],
    [['failed', 'delivered'], 'delivered'],
    [['delivered', 'failed', 'undelivered'], 'delivered'],
    [['delivered', 'delivered'], 'delivered'],
  ] as [ReceiptState[], string][])('in the order %j leaves the send %s', async (states, final) => {
    const ledger = await queued()
    await ledger.claim()
    await ledger.record(accepted)
    for (const state of states) await ledger.receipt(state)
    expect(await ledger.state()).toBe(final)
  })

  it('before the provider’s reply is not undone by it', async () => {
    const ledger = await queued()
    await ledger.claim()
    await ledger.receipt('delivered')
    expect(await ledger.record(unknown)).toEqual({ kind: 'recorded', state: 'delivered' })
    expect(await ledger.state()).toBe('delivered')
  })

  it('settles an unknown attempt, so that no second message leaves', async () => {
    const ledger = await queued({ receiptWaitMs: 0 })
    await ledger.claim()
    await ledger.record(unknown)
    await ledger.receipt('sent')
    expect(await ledger.claim('second')).toEqual({ kind: 'closed', why: 'accepted' })
  })

  it('for a send that is gone changes nothing', async () => {
    const ledger = await queued()
    await connection.redis.del(ledger.keys.verification(APPLICATION, ledger.id))
    expect(await ledger.receipt('delivered')).toEqual({ kind: 'gone' })
    expect(await ledger.hash(ledger.id)).toEqual({})
  })

  it('does not revive a send that never left', async () => {
    const ledger = await queued()
    await ledger.verifications.cancel(APPLICATION, ledger.id)
    expect(await ledger.receipt('delivered')).toEqual({ kind: 'kept', state: 'canceled' })
  })
})

describe('the sweeper', () => {
  it('names a send that was stored but never queued, once for all who sweep', async () => {
    const ledger = await queued({ sweepAfterMs: 0, leaseMs: 60_000 })
    const swept = await Promise.all([
      ledger.deliveries.sweep(APPLICATION, 10),
      ledger.deliveries.sweep(APPLICATION, 10),
    ])
    expect(swept.flatMap(({ sends }) => sends)).toContainEqual(ledger.send)
  })

  it('leaves alone what is not due', async () => {
    const ledger = await queued()
    expect(await ledger.deliveries.sweep(APPLICATION, 10)).toEqual({ looked: 0, sends: [] })
  })

  it('looks again later at what it has named', async () => {
    const ledger = await queued({ sweepAfterMs: 30 })
    await expect
      .poll(() => ledger.deliveries.sweep(APPLICATION, 10), { interval: 10 })
      .toMatchObject({ looked: 1 })
    expect(await ledger.deliveries.sweep(APPLICATION, 10)).toMatchObject({ looked: 0 })
    await expect
      .poll(() => ledger.deliveries.sweep(APPLICATION, 10), { interval: 10 })
      .toMatchObject({ looked: 1 })
  })

  it('ends a verification whose time is over: sealed copy erased, send closed, off the agenda', async () => {
    const ledger = await queued({ codeTtlMs: 20, sendReserveMs: 0, sweepAfterMs: 0 })
    await expect
      .poll(async () => {
        await ledger.deliveries.sweep(APPLICATION, 10)
        return (await ledger.hash(ledger.id)).status
      })
      .toBe('expired')
    const hash = await ledger.hash(ledger.id)
    expect(hash).not.toHaveProperty('sealed')
    expect(hash['1:state']).toBe('expired')
    expect(await connection.redis.zscore(ledger.keys.agenda(APPLICATION), ledger.id)).toBeNull()
  })

  it('ends a send that nobody claims at its last moment, and looks at it then', async () => {
    const store = await clockedStoreOn(connection.redis, { senders: [senderAt(100_000)] })
    const { id } = await store.start(freshDestination())
    const sweepAt = async (ms: number) => {
      await store.setTime(ms)
      return store.deliveries.sweep(APPLICATION, 10)
    }
    expect(await sweepAt(230_000)).toEqual({ looked: 1, sends: [sendOf(id)] })
    expect(await sweepAt(239_999)).toEqual({ looked: 0, sends: [] })
    expect(await store.waiting()).toBe(1)
    expect(await sweepAt(240_000)).toEqual({ looked: 1, sends: [], unsent: 1 })
    expect(await store.hash(id)).toMatchObject({
      status: 'pending',
      '1:state': 'expired',
      '1:reason': 'not_sent_in_time',
    })
    expect(await store.waiting()).toBe(0)
    expect(await sweepAt(299_999)).toEqual({ looked: 0, sends: [] })
    await sweepAt(300_000)
    expect(await store.hash(id)).toMatchObject({ status: 'expired', '1:state': 'expired' })
  })

  it('leaves a send alone that is in a worker’s hands past its last moment', async () => {
    const store = await clockedStoreOn(connection.redis, { senders: [senderAt(100_000)] })
    const { id } = await store.start(freshDestination())
    await store.setTime(239_000)
    await store.deliveries.claim(sendOf(id), 'late')
    await connection.redis.zadd(store.keys.agenda(APPLICATION), 1, id)
    await store.setTime(241_000)
    await store.deliveries.sweep(APPLICATION, 10)
    expect((await store.hash(id))['1:state']).toBe('submitting')
  })

  it('ends an attempt in a lost worker’s hands as unknown once the verification is over', async () => {
    const ledger = await queued({ leaseMs: 0, sweepAfterMs: 0 })
    await ledger.claim()
    await ledger.verifications.cancel(APPLICATION, ledger.id)
    await expect.poll(() => ledger.deliveries.sweep(APPLICATION, 10)).toMatchObject({ looked: 1, sends: [] })
    expect(await ledger.state()).toBe('unknown')
    expect(await connection.redis.zscore(ledger.keys.agenda(APPLICATION), ledger.id)).toBeNull()
  })

  it('does not name a send that has come to rest', async () => {
    const ledger = await queued({ sweepAfterMs: 0 })
    await ledger.claim()
    await ledger.record(accepted)
    await connection.redis.zadd(ledger.keys.agenda(APPLICATION), 1, ledger.id)
    expect(await ledger.deliveries.sweep(APPLICATION, 10)).toEqual({ looked: 1, sends: [] })
  })

  it('takes what is gone off the agenda', async () => {
    const ledger = await queued({ sweepAfterMs: 0 })
    await connection.redis.del(ledger.keys.verification(APPLICATION, ledger.id))
    await expect.poll(() => ledger.deliveries.sweep(APPLICATION, 10)).toMatchObject({ looked: 1 })
    expect(await connection.redis.zcard(ledger.keys.agenda(APPLICATION))).toBe(0)
  })

  it.each([1, 2, 3])('looks at no more than %i at a time', async (count) => {
    const ledger = await queued({ sweepAfterMs: 0 })
    await Promise.all([ledger.start(freshDestination()), ledger.start(freshDestination())])
    await expect.poll(() => ledger.deliveries.sweep(APPLICATION, count)).toMatchObject({ looked: count })
  })

  it('knows the applications seen within the day', async () => {
    const ledger = await queued()
    const now = Date.now()
    await ledger.deliveries.seeApplications(['old' as Application], now - 25 * 3_600_000)
    await ledger.deliveries.seeApplications(['shop' as Application, 'bank' as Application], now)
    expect((await ledger.deliveries.applications()).sort()).toEqual(['bank', 'shop'])
  })
})

describe('a view', () => {
  it('tells each send with its state, attempts and the provider’s id', async () => {
    const ledger = await queued({ leaseMs: 0, receiptWaitMs: 0 })
    await ledger.claim('lost')
    await ledger.claim('second')
    await ledger.record(accepted, 'second')
    const view = await ledger.verifications.read(APPLICATION, ledger.id)
    expect(view).toMatchObject({
      status: 'pending',
      sendsLeft: 3,
      checksLeft: 5,
      maskedDestination: expect.any(String),
    })
    expect(view?.sends).toMatchObject([
      { number: 1, state: 'accepted', attempts: 2, possibleDuplicate: true, messageId: 'm-1' },
    ])
  })

  it('of a code past its time reads expired although nobody has ended it', async () => {
    const store = storeOn(connection.redis, { codeTtlMs: 1, sendReserveMs: 0 })
    const { id } = startedOf(await store.verifications.start(store.requestFor(freshDestination())))
    await expect.poll(async () => (await store.verifications.read(APPLICATION, id))?.status).toBe('expired')
    expect((await store.hash(id)).status).toBe('pending')
  })
})

describe('a message id', () => {
  it('leads back to its send for an hour', async () => {
    const ledger = await queued()
    await ledger.claim()
    await ledger.record({ kind: 'accepted', messageId: 'm-9' })
    expect(await ledger.deliveries.findMessage('m-9')).toBe(formatReference(ledger.send))
    expect(await ledger.deliveries.findMessage('m-10')).toBeUndefined()
    expect(await connection.redis.ttl(ledger.keys.message('m-9'))).toBeGreaterThan(3_590)
  })

  it('leads back to its send although the attempt was overtaken', async () => {
    const ledger = await queued({ leaseMs: 0, receiptWaitMs: 0 })
    await ledger.claim()
    await ledger.claim('second')
    expect(await ledger.record({ kind: 'accepted', messageId: 'm-late' })).toEqual({ kind: 'stale' })
    expect(await ledger.deliveries.findMessage('m-late')).toBe(formatReference(ledger.send))
  })

  it('that no outcome brought leaves nothing behind', async () => {
    const ledger = await queued()
    await ledger.claim()
    await ledger.record(rejected)
    expect(await connection.redis.exists(ledger.keys.message(''))).toBe(0)
  })
})

describe('Redis that forgot its scripts', () => {
  it('is taught them again without a fault', async () => {
    const ledger = await queued()
    await connection.redis.call('FUNCTION', 'FLUSH')
    expect(await ledger.claim()).toMatchObject({ kind: 'claimed' })
  })
})
