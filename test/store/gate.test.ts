/** The gate before a send, on a real Redis: what each rule lets through, what it counts, and what it leaves behind. */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import {
  APPLICATION,
  destinationOf,
  freshDestination,
  startedOf,
  storeOn,
  wrongFor,
} from '#test/fixtures/store.ts'
import type { Counted, Mode, Rule, Scope } from '#verification/gate.ts'
import type { Refused } from '#verification/refusal.ts'
import type { Application, VerificationId } from '#verification/verification.ts'

const connection = useRedis()
const noWait = { resendWaitsMs: [0, 0, 0] }
const HOUR = 3_600_000
let prefix = ''

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

function gated(rules: readonly Rule[], overrides = {}, segments = 1) {
  const store = storeOn(connection.redis, { rules, ...overrides }, undefined, () => segments)
  prefix = store.prefix
  return store
}

function rule(scope: Scope, counts: Counted, max: number, mode: Mode = 'block'): Rule {
  return { name: `${scope}_test`, scope, counts, max, mode, windowMs: HOUR }
}

type Result = Awaited<ReturnType<ReturnType<typeof storeOn>['verifications']['start']>>
const refusalIn = (result: Result): Refused | undefined => (result.kind === 'refused' ? result : undefined)

/** Numbers of one prefix: `+12029` and two digits that choose the prefix, then four of their own. */
const numberOf = (index: number) => destinationOf(`+1202${String(9_100_000 + index).padStart(7, '0')}`)

describe('a rule', () => {
  it.each<[Scope, number]>([
    ['ip', 3],
    ['prefix', 3],
    ['region', 3],
    ['application', 3],
    ['overall', 3],
  ])('of %s lets its %i sends through and refuses the next until there is room', async (scope, max) => {
    const store = gated([rule(scope, 'sends', max)])
    const clientIp = '203.0.113.7'
    for (let index = 0; index < max; index++) await store.start(numberOf(index), { clientIp })
    const refused = refusalIn(await store.verifications.start(store.requestFor(numberOf(max), { clientIp })))
    expect(refused).toMatchObject({
      refusal: scope === 'ip' ? 'client_limit' : 'traffic_limit',
      limit: `${scope}_test`,
    })
    // The oldest of the twelve buckets still counts: at most a twelfth late.
    expect(refused?.retryAfterMs).toBeGreaterThan(HOUR)
    expect(refused?.retryAfterMs).toBeLessThanOrEqual(HOUR + HOUR / 12)
  })

  it('of one address, prefix or application leaves another alone', async () => {
    const store = gated([rule('ip', 'sends', 1), rule('prefix', 'sends', 1), rule('application', 'sends', 1)])
    await store.start(numberOf(0), { clientIp: '203.0.113.7' })
    await store.start(numberOf(10_000), { clientIp: '203.0.113.8', application: 'bank' as Application })
  })

  it('of an address does not apply where nobody gave one', async () => {
    const store = gated([rule('ip', 'sends', 1)])
    for (let index = 0; index < 3; index++) await store.start(numberOf(index))
  })

  it('counts an IPv6 line as one, and a /48 by a rule of its own', async () => {
    const store = gated([rule('ip', 'sends', 2), rule('network', 'sends', 3)])
    await store.start(numberOf(0), { clientIp: '2001:db8:1:2::1' })
    await store.start(numberOf(1), { clientIp: '2001:db8:1:2:ffff::2' })
    const sameLine = store.requestFor(numberOf(2), { clientIp: '2001:db8:1:2::3' })
    expect(refusalIn(await store.verifications.start(sameLine))).toMatchObject({ limit: 'ip_test' })
    await store.start(numberOf(3), { clientIp: '2001:db8:1:3::1' })
    const sameSite = store.requestFor(numberOf(4), { clientIp: '2001:db8:1:4::1' })
    expect(refusalIn(await store.verifications.start(sameSite))).toMatchObject({ limit: 'network_test' })
  })

  it('that refuses leaves no trace, not even in the rules that would have let it pass', async () => {
    const store = gated([rule('overall', 'sends', 1), rule('application', 'sends', 5)])
    await store.start(numberOf(0))
    const before = await dump(store.prefix)
    for (let index = 1; index < 5; index++) {
      const refused = await store.verifications.start(store.requestFor(numberOf(index)))
      expect(refused.kind).toBe('refused')
    }
    expect(await dump(store.prefix)).toEqual(before)
  })

  it('gives exactly its number when two hundred ask at once', async () => {
    const store = gated([rule('application', 'sends', 20), rule('overall', 'spend', 15_000 * 30)])
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) => store.verifications.start(store.requestFor(numberOf(index)))),
    )
    expect(results.filter(({ kind }) => kind === 'started')).toHaveLength(20)
  })

  const full = (name: string, scope: Scope, windowMs: number, max = 1): Rule => ({
    ...rule(scope, 'sends', max),
    name,
    windowMs,
  })

  it.each<[string, Rule[], string]>([
    ['of an hour and a day', [full('hour', 'prefix', HOUR), full('day', 'prefix', 24 * HOUR)], 'day'],
    ['of a day and an hour', [full('day', 'prefix', 24 * HOUR), full('hour', 'prefix', HOUR)], 'day'],
    ['of two scopes', [full('hour', 'prefix', HOUR), full('day', 'overall', 24 * HOUR)], 'day'],
    [
      'one of which only observes',
      [full('hour', 'prefix', HOUR), { ...full('day', 'overall', 24 * HOUR), mode: 'observe' }],
      'hour',
    ],
    ['one of which has room', [full('hour', 'prefix', HOUR), full('day', 'overall', 24 * HOUR, 2)], 'hour'],
  ])('among several %s: that which holds longest is told', async (_, rules, limit) => {
    const store = gated(rules)
    await store.start(numberOf(0))
    const refused = refusalIn(await store.verifications.start(store.requestFor(numberOf(1))))
    expect(refused).toMatchObject({ limit })
    expect((refused?.retryAfterMs ?? 0) > 2 * HOUR).toBe(limit === 'day')
  })

  it('holds for a resend as for a start', async () => {
    const store = gated([rule('application', 'sends', 2)], noWait)
    const { id } = await store.start(numberOf(0))
    expect((await store.verifications.resend(APPLICATION, id)).kind).toBe('sent_again')
    const refused = await store.verifications.resend(APPLICATION, id)
    expect(refused).toMatchObject({ refusal: 'traffic_limit', limit: 'application_test' })
  })
})

async function dump(of: string): Promise<Record<string, unknown>> {
  const keys = (await connection.redis.keys(`{${of}}:*`)).sort()
  const entries = keys.map(async (key) => [key, await connection.redis.dump(key)] as const)
  return Object.fromEntries(await Promise.all(entries))
}

describe('different numbers and regions', () => {
  it('are counted once each, however often they are sent to', async () => {
    const store = gated([rule('ip', 'numbers', 2)], noWait)
    const clientIp = '203.0.113.7'
    for (let time = 0; time < 3; time++) await store.start(numberOf(0), { clientIp })
    await store.start(numberOf(1), { clientIp })
    await store.start(numberOf(0), { clientIp })
    const third = await store.verifications.start(store.requestFor(numberOf(2), { clientIp }))
    expect(third).toMatchObject({ refusal: 'client_limit', limit: 'ip_test' })
  })

  it('of regions likewise', async () => {
    const store = gated([rule('ip', 'regions', 2)])
    const from = { clientIp: '203.0.113.7' }
    await store.start(numberOf(0), { ...from, region: 'US' })
    await store.start(numberOf(1), { ...from, region: 'CA' })
    await store.start(numberOf(2), { ...from, region: 'US' })
    const third = await store.verifications.start(store.requestFor(numberOf(3), { ...from, region: 'JM' }))
    expect(third).toMatchObject({ refusal: 'client_limit' })
  })

  it('in a row are seen: eight of a thousand neighbours, then a challenge', async () => {
    const store = gated([rule('range', 'numbers', 8, 'challenge')])
    for (let index = 0; index < 8; index++) await store.start(numberOf(index))
    const ninth = await store.verifications.start(store.requestFor(numberOf(8)))
    expect(ninth).toMatchObject({ refusal: 'challenge_required', limit: 'range_test' })
    await store.start(numberOf(1_000))
  })
})

describe('a mode', () => {
  it('of observe lets pass, and says so to the log and to who reads the verification', async () => {
    const store = gated([rule('prefix', 'sends', 1, 'observe')])
    expect((await store.start(numberOf(0))).explain).toBe('')
    const second = await store.start(numberOf(1))
    expect(second.explain).toBe('prefix_test=observe')
    expect((await store.verifications.read(APPLICATION, second.id))?.explain).toBe('prefix_test=observe')
  })

  it('of challenge lets pass who passed one, once', async () => {
    const store = gated([rule('prefix', 'sends', 1, 'challenge')])
    await store.start(numberOf(0))
    const challenge = { nonce: 'n1', expiresAtMs: Date.now() + 60_000 }
    const passed = await store.start(numberOf(1), { challenge })
    expect(passed.explain).toBe('prefix_test=challenge')
    const again = await store.verifications.start(store.requestFor(numberOf(2), { challenge }))
    expect(again).toMatchObject({ refusal: 'challenge_used' })
  })

  it('of block goes before a challenge, passed or not', async () => {
    const store = gated([
      { ...rule('application', 'sends', 1, 'challenge'), name: 'first' },
      rule('overall', 'sends', 1),
    ])
    await store.start(numberOf(0))
    const challenge = { nonce: 'n2', expiresAtMs: Date.now() + 60_000 }
    const refused = await store.verifications.start(store.requestFor(numberOf(1), { challenge }))
    expect(refused).toMatchObject({ refusal: 'traffic_limit', limit: 'overall_test' })
    expect(await connection.redis.exists(store.keys.challenge(APPLICATION, 'n2')), 'not used up').toBe(0)
  })
})

describe('the spend firewall', () => {
  const prices = { US: 10_000, '*': 500_000 }

  it.each([
    ['under its price a segment', 'US', 1, 10],
    ['two segments cost twice', 'US', 2, 5],
    ['a region nobody priced costs the most', 'JM', 1, 0],
  ] as const)('%s', async (_, region, segments, through) => {
    const store = gated([rule('overall', 'spend', 100_000)], { prices }, segments)
    for (let index = 0; index < through; index++) await store.start(numberOf(index), { region })
    const refused = await store.verifications.start(store.requestFor(numberOf(through), { region }))
    expect(refused).toMatchObject({ refusal: 'spend_limit', limit: 'overall_test' })
  })

  it('refuses a message dearer than a whole budget without a time to wait, whatever else is full', async () => {
    const rules = [
      { ...rule('application', 'spend', 10_000), name: 'small' },
      { ...rule('overall', 'sends', 1), name: 'day', windowMs: 24 * HOUR },
    ]
    const store = gated(rules, { prices })
    await store.start(numberOf(0))
    const dear = await store.verifications.start(store.requestFor(numberOf(1), { region: 'JM' }))
    expect(dear).toEqual({ kind: 'refused', refusal: 'spend_limit', limit: 'small' })
    const other = await store.verifications.start(store.requestFor(numberOf(1)))
    expect(other).toMatchObject({ refusal: 'traffic_limit', limit: 'day', retryAfterMs: expect.any(Number) })
  })

  it('raises one alarm, at four fifths', async () => {
    const store = gated([rule('overall', 'spend', 100_000)], { prices })
    const explained: string[] = []
    for (let index = 0; index < 10; index++) explained.push((await store.start(numberOf(index))).explain)
    expect(explained).toEqual([...Array(7).fill(''), 'overall_test=alarm', '', ''])
  })

  it('leaves checks alone', async () => {
    const store = gated([rule('overall', 'spend', 10_000)], { prices })
    const { id } = await store.start(numberOf(0))
    expect((await store.verifications.start(store.requestFor(numberOf(1)))).kind).toBe('refused')
    expect(await store.check(id, await store.codeFor(id))).toMatchObject({ verdict: 'approved' })
  })
})

describe('while sending is stopped', () => {
  it('nothing starts, nothing is sent again, no worker gets a claim, and checks go on', async () => {
    const store = gated([], noWait)
    const { id } = await store.start(numberOf(0))
    await connection.redis.set(store.keys.stopped(), 'too many', 'PX', 60_000)
    const start = await store.verifications.start(store.requestFor(numberOf(1)))
    expect(start).toMatchObject({ refusal: 'sending_stopped' })
    expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({ refusal: 'sending_stopped' })
    const send = { application: APPLICATION, verification: id, send: 1 }
    expect(await store.deliveries.claim(send, 'token')).toMatchObject({ kind: 'wait' })
    expect(await store.check(id, await store.codeFor(id))).toMatchObject({ verdict: 'approved' })
    await connection.redis.del(store.keys.stopped())
    await store.start(numberOf(1))
  })
})

describe('conversion', () => {
  const low: Rule = {
    name: 'low',
    scope: 'prefix',
    counts: 'conversion',
    windowMs: 24 * HOUR,
    belowPercent: 30,
    minimum: 10,
    mode: 'block',
  }

  /** Starts, has the message accepted, and ends: by the right code, or by giving up. */
  async function play(store: ReturnType<typeof gated>, index: number, end: 'approve' | 'cancel') {
    const started = startedOf(await store.verifications.start(store.requestFor(numberOf(index))))
    await deliver(store, started.id)
    if (end === 'approve') await store.check(started.id, await store.codeFor(started.id))
    else await store.verifications.cancel(APPLICATION, started.id)
  }

  async function deliver(store: ReturnType<typeof gated>, id: VerificationId) {
    const send = { application: APPLICATION, verification: id, send: 1 }
    await store.deliveries.claim(send, 'token')
    const outcome = { kind: 'accepted', messageId: `m${id}` } as const
    await store.deliveries.record(send, { token: 'token', outcome, waitMs: 0 })
  }

  it.each([
    [2, 8, 'refused'],
    [3, 7, 'started'],
  ] as const)('%i of 10 typed in, %i not: the next is %s', async (approved, given, kind) => {
    const store = gated([low])
    for (let index = 0; index < approved; index++) await play(store, index, 'approve')
    for (let index = 0; index < given; index++) await play(store, 100 + index, 'cancel')
    const next = await store.verifications.start(store.requestFor(numberOf(200)))
    expect(next.kind).toBe(kind)
    if (kind === 'refused') expect(next).toMatchObject({ refusal: 'suspected_fraud', limit: 'low' })
  })

  it('of a silent caller counts what is held back against a number, but not what the block itself holds back', async () => {
    const store = gated([low])
    const matured = async () => {
      const [key = ''] = await connection.redis.keys(`${store.keys.scope('prefix', '')}*`)
      return (await connection.redis.hget(key, 'matured'))?.split(' ')[1]
    }
    const end = async (index: number, more: object) => {
      const { id } = await store.start(numberOf(index), { silent: true, ...more })
      await store.verifications.cancel(APPLICATION, id)
      return (await store.hash(id))['1:reason']
    }
    for (let index = 0; index < 10; index++) await end(index, { held: 'number_denied' })
    expect(await matured()).toBe('10')
    expect(await end(100, {})).toBe('suspected_fraud')
    expect(await end(101, { held: 'number_denied' })).toBe('suspected_fraud')
    expect(await matured()).toBe('10')
  })

  it('says nothing of a burst that has not ended, nor under its minimum', async () => {
    const store = gated([low])
    for (let index = 0; index < 9; index++) await play(store, index, 'cancel')
    for (let index = 0; index < 20; index++) await store.start(numberOf(100 + index))
  })

  it('does not count what never left', async () => {
    const store = gated([low])
    for (let index = 0; index < 12; index++) {
      const { id } = await store.start(numberOf(index))
      await store.verifications.cancel(APPLICATION, id)
    }
    await store.start(numberOf(100))
  })

  it('counts what ended by its time when somebody looks', async () => {
    const store = gated([low], { codeTtlMs: 1, sendReserveMs: 0 })
    for (let index = 0; index < 10; index++) {
      const { id } = await store.start(numberOf(index))
      // As if a worker had sent it in the millisecond it had.
      await connection.redis.hset(store.keys.verification(APPLICATION, id), '1:state', 'accepted')
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
    await connection.redis.zadd(store.keys.agenda(APPLICATION), ...(await dueNow(store)))
    await store.deliveries.sweep(APPLICATION, 100)
    expect(await store.verifications.start(store.requestFor(numberOf(100)))).toMatchObject({ limit: 'low' })
  })

  async function dueNow(store: ReturnType<typeof gated>): Promise<string[]> {
    const ids = await connection.redis.zrange(store.keys.agenda(APPLICATION), 0, '-1')
    return ids.flatMap((id) => ['0', id])
  }
})

describe('a number on a list', () => {
  it('that is trusted is asked for the shared budgets only', async () => {
    const store = gated([
      rule('ip', 'sends', 1),
      rule('prefix', 'sends', 1),
      rule('range', 'numbers', 1),
      { ...rule('overall', 'sends', 3), name: 'overall_test' },
    ])
    const more = { clientIp: '203.0.113.7', trusted: true }
    for (let index = 0; index < 3; index++) await store.start(numberOf(index), more)
    const fourth = await store.verifications.start(store.requestFor(numberOf(3), more))
    expect(fourth).toMatchObject({ limit: 'overall_test' })
  })

  it('for tests has its own code, and its message never leaves', async () => {
    const store = gated([rule('overall', 'sends', 1)], noWait)
    const testCode = wrongFor('000000' as never)
    const { id } = await store.start(numberOf(0), { testCode, held: 'test_number' })
    expect(await store.hash(id)).toMatchObject({ '1:state': 'suppressed', '1:reason': 'test_number' })
    expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({ kind: 'sent_again', send: 2 })
    expect(await store.hash(id)).toMatchObject({ '2:state': 'suppressed', '2:reason': 'test_number' })
    const send = { application: APPLICATION, verification: id, send: 2 }
    expect(await store.deliveries.claim(send, 'token')).toEqual({ kind: 'closed', why: 'suppressed' })
    expect(await store.check(id, testCode)).toMatchObject({ verdict: 'approved' })
    await store.start(numberOf(1))
  })
})

describe('a silent caller', () => {
  it.each(['denied', 'suspicious'])('gets the answer of any other for a %s number', async (kind) => {
    const store = gated(kind === 'denied' ? [] : [rule('prefix', 'sends', 1)])
    await store.start(numberOf(0), { silent: true })
    const request = { silent: true, ...(kind === 'denied' ? { held: 'number_denied' as const } : {}) }
    const held = await store.start(numberOf(1), request)
    const plain = await store.start(freshDestination(), { silent: true })
    expect({
      ...held,
      id: '',
      createdAtMs: 0,
      expiresAtMs: 0,
      nextSendAtMs: 0,
      nowMs: 0,
      explain: '',
    }).toEqual({
      ...plain,
      id: '',
      createdAtMs: 0,
      expiresAtMs: 0,
      nextSendAtMs: 0,
      nowMs: 0,
      explain: '',
    })
    expect((await store.hash(held.id))['1:state']).toBe('suppressed')
    const wrong = wrongFor(await store.codeFor(held.id))
    expect(await store.check(held.id, wrong)).toMatchObject({ verdict: 'wrong', checksLeft: 4 })
    const again = await store.verifications.start(store.requestFor(numberOf(1), request))
    expect(again).toMatchObject({ refusal: 'resend_cooldown' })
  })

  it('is told of its own address’s limit, though what is held against the number holds longer', async () => {
    const day = { ...rule('prefix', 'sends', 1), name: 'day', windowMs: 24 * HOUR }
    const store = gated([rule('ip', 'sends', 1), day])
    const more = { silent: true, clientIp: '203.0.113.7' }
    await store.start(numberOf(0), more)
    const second = await store.verifications.start(store.requestFor(numberOf(1), more))
    expect(second).toMatchObject({ refusal: 'client_limit', limit: 'ip_test' })
  })

  it('is asked for a challenge before its message is held back', async () => {
    const rules = [rule('prefix', 'sends', 1), { ...rule('range', 'numbers', 1, 'challenge'), name: 'row' }]
    const store = gated(rules)
    await store.start(numberOf(0), { silent: true })
    const request = store.requestFor(numberOf(1), { silent: true })
    expect(await store.verifications.start(request)).toMatchObject({
      refusal: 'challenge_required',
      limit: 'row',
    })
    const challenge = { nonce: 'n3', expiresAtMs: Date.now() + 60_000 }
    const held = startedOf(await store.verifications.start({ ...request, challenge }))
    expect((await store.hash(held.id))['1:state']).toBe('suppressed')
  })

  it('is told of its own address’s limit', async () => {
    const store = gated([rule('ip', 'sends', 1)])
    const more = { silent: true, clientIp: '203.0.113.7' }
    await store.start(numberOf(0), { ...more, held: 'number_denied' })
    const second = await store.verifications.start(store.requestFor(numberOf(1), more))
    expect(second).toMatchObject({ refusal: 'client_limit' })
  })
})
