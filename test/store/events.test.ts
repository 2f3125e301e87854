/**
 * Events as the scripts leave them: every type, once for each change, in the step that makes it; none where nobody is
 * told; and no code and no number in any of them.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { luaEvents } from '#store/lua-policy.ts'
import { createOutbox } from '#store/outbox.ts'
import { complaintsAboutEvent } from '#test/api/document.ts'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, codeOf, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { EVENT_TYPES, type EventType } from '#verification/event.ts'
import { DEFAULT_RULES, type Rule } from '#verification/gate.ts'
import type { Outcome, ReceiptState } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import { FORM_APPLICATION, type VerificationId } from '#verification/verification.ts'

const connection = useRedis()
const CODE = codeOf('518274')
let prefix = ''

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

async function started(overrides: Partial<Policy> = {}) {
  const store = storeOn(connection.redis, {
    events: EVENT_TYPES,
    resendWaitsMs: [0, 0, 0],
    receiptWaitMs: 0,
    ...overrides,
  })
  prefix = store.prefix
  const outbox = createOutbox(store)
  const destination = freshDestination()
  const begin = async (more = {}) => (await store.start(destination, { testCode: CODE, ...more })).id
  const id = await begin()
  const reference = (send: number, of: VerificationId = id) => ({
    application: APPLICATION,
    verification: of,
    send,
  })
  const claim = (token = 'one', send = 1) => store.deliveries.claim(reference(send), token)
  const record = (outcome: Outcome, token = 'one', waitMs = 0) =>
    store.deliveries.record(reference(1), { token, outcome, waitMs })
  return {
    ...store,
    outbox,
    destination,
    id,
    begin,
    claim,
    record,
    sent: async (outcome: Outcome, token = 'one', waitMs = 0) => {
      await claim(token)
      return record(outcome, token, waitMs)
    },
    receipt: (state: ReceiptState, reason?: string) =>
      store.deliveries.takeReceipt(reference(1), { messageId: 'm-1', state, ...(reason ? { reason } : {}) }),
    check: (code = CODE) => store.check(id, code),
    checkOf: store.check,
    cancel: () => store.verifications.cancel(APPLICATION, id),
    resend: () => store.verifications.resend(APPLICATION, id),
    sweep: () => store.deliveries.sweep(APPLICATION, 10),
    /** Everything in the outbox, as it would be told. */
    async told() {
      const taken = await outbox.take('test', 1_000)
      if (taken.kind === 'busy') throw new Error('somebody else has the outbox')
      return taken.entries.map(({ told }) => {
        if (!told) throw new Error('an entry that cannot be read')
        expect(complaintsAboutEvent(told.event)).toEqual([])
        return told.event
      })
    },
  }
}

type Story = Awaited<ReturnType<typeof started>>
const accepted: Outcome = { kind: 'accepted', messageId: 'm-1' }
const unknown: Outcome = { kind: 'unknown', reason: 'connection_lost' }
const rejected: Outcome = { kind: 'rejected', reason: 'refused_by_provider' }
const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
const limit = (more: Partial<Rule>): Rule[] => [{ ...DEFAULT_RULES[0], ...more } as Rule]
const shared = limit({
  name: 'application_day',
  scope: 'application',
  counts: 'sends',
  max: 5,
  mode: 'block',
} as Rule)

type Row = [what: string, overrides: Partial<Policy>, story: (s: Story) => Promise<unknown>, told: string[]]

const rows: Row[] = [
  ['a start', {}, async () => {}, []],
  ['a resend', {}, (s) => s.resend(), []],
  ['a wrong code', {}, (s) => s.check(wrongFor(CODE)), []],
  ['the right code', {}, (s) => s.check(), ['verification.approved']],
  [
    'the right code, twice',
    {},
    async (s) => {
      await s.check()
      await s.check()
    },
    ['verification.approved'],
  ],
  ['the last wrong code', { checksMax: 1 }, (s) => s.check(wrongFor(CODE)), ['verification.exhausted']],
  [
    'the wrong code that disables the number',
    { wrongInARowMax: 1 },
    (s) => s.check(wrongFor(CODE)),
    ['number.disabled'],
  ],
  [
    'wrong codes after it, which a silent caller may still type',
    { wrongInARowMax: 1 },
    async (s) => {
      const typed = { application: APPLICATION, id: s.id, code: wrongFor(CODE), silent: true }
      for (let tries = 0; tries < 3; tries++) await s.verifications.check(typed)
    },
    ['number.disabled'],
  ],
  ['a cancellation', {}, (s) => s.cancel(), ['verification.canceled']],
  [
    'a cancellation, twice',
    {},
    async (s) => {
      await s.cancel()
      await s.cancel()
    },
    ['verification.canceled'],
  ],
  [
    'a start that replaces it',
    { sendReserveMs: 300_000 },
    (s) => s.begin(),
    ['verification.canceled', 'verification.started'],
  ],
  [
    'a check after its time',
    { codeTtlMs: 0, retentionMs: 60_000 },
    (s) => s.check(),
    ['send.expired', 'verification.expired'],
  ],
  [
    'a sweep after its time, and another',
    { codeTtlMs: 0, retentionMs: 60_000, sweepAfterMs: 0 },
    async (s) => {
      await s.sweep()
      await s.sweep()
    },
    ['send.expired', 'verification.expired'],
  ],
  ['a claim that is too late', { sendReserveMs: 300_000 }, (s) => s.claim(), ['send.expired']],
  ['a claim', {}, (s) => s.claim(), []],
  ['an acceptance', {}, (s) => s.sent(accepted), ['send.accepted']],
  ['a rejection', {}, (s) => s.sent(rejected), ['send.rejected']],
  ['a busy provider', {}, (s) => s.sent(busy), []],
  ['an end nobody knows', {}, (s) => s.sent(unknown), ['send.unknown']],
  [
    'an end nobody knows, twice',
    {},
    async (s) => {
      await s.sent(unknown, 'one')
      await s.sent(unknown, 'two')
    },
    ['send.unknown', 'send.unknown'],
  ],
  [
    'an end nobody knows, and a provider that is busy from then on until it is too late',
    { receiptWaitMs: 0 },
    async (s) => {
      await s.sent(unknown, 'one')
      for (const token of ['two', 'three', 'four']) await s.sent(busy, token)
      await s.sent(busy, 'five', 240_000)
    },
    ['send.unknown'],
  ],
  [
    'an end nobody knows, and a refusal of the message after it',
    { receiptWaitMs: 0 },
    async (s) => {
      await s.sent(unknown, 'one')
      await s.sent(rejected, 'two')
    },
    ['send.unknown'],
  ],
  [
    'a worker that was lost, and knows no better when it is back',
    { leaseMs: 0, receiptWaitMs: 10_000 },
    async (s) => {
      await s.claim('one')
      await s.claim('two')
      await s.record(unknown, 'one')
    },
    ['send.unknown'],
  ],
  [
    'a worker that was lost, as the next one claims',
    { leaseMs: 0, receiptWaitMs: 0 },
    async (s) => {
      await s.claim('one')
      await s.claim('two')
    },
    ['send.unknown'],
  ],
  [
    'a worker that was lost after the end, as the sweeper looks',
    { leaseMs: 0, sweepAfterMs: 0 },
    async (s) => {
      await s.claim('one')
      await s.cancel()
      await s.sweep()
    },
    ['verification.canceled', 'send.unknown'],
  ],
  [
    'receipts, in order and repeated',
    {},
    async (s) => {
      await s.sent(accepted)
      for (const state of ['sent', 'delivered', 'delivered', 'undelivered'] as const) await s.receipt(state)
    },
    ['send.accepted', 'send.delivered'],
  ],
  [
    'receipts that change their mind',
    {},
    async (s) => {
      await s.receipt('undelivered', 'handset off')
      await s.receipt('delivered')
    },
    ['send.undelivered', 'send.delivered'],
  ],
  ['a failure', {}, (s) => s.receipt('failed', '30003'), ['send.failed']],
]

describe('events', () => {
  it.each(rows)('of %s', async (_, overrides, story, told) => {
    const s = await started(overrides)
    await story(s)
    expect((await s.told()).map(({ type }) => type)).toEqual(['verification.started', ...told])
  })

  it('cover every type there is', () => {
    const covered = new Set([
      ...rows.flatMap(([, , , told]) => told),
      'verification.started',
      'limit.reached',
    ])
    expect([...covered].sort()).toEqual([...EVENT_TYPES].sort())
  })

  it('say what they are about, and neither the code nor the number', async () => {
    const s = await started()
    await s.sent(accepted)
    await s.receipt('undelivered', 'handset off')
    await s.check()
    const subject = {
      verification: s.id,
      application: 'shop',
      purpose: 'default',
      channel: 'sms',
      to: `+*******${s.destination.slice(-4)}`,
    }
    const told = await s.told()
    expect(told.map(({ data }) => data)).toEqual([
      {
        ...subject,
        status: 'started',
        sends: 1,
        created_at: expect.any(String),
        expires_at: expect.any(String),
      },
      {
        ...subject,
        send: 1,
        status: 'accepted',
        attempts: 1,
        possible_duplicate: false,
        queued_at: expect.any(String),
        provider_message_id: 'm-1',
      },
      expect.objectContaining({ ...subject, status: 'undelivered', reason: 'handset off' }),
      expect.objectContaining({ ...subject, status: 'approved', sends: 1 }),
    ])
    const raw = JSON.stringify(await connection.redis.xrange(s.keys.outbox(), '-', '+'))
    for (const secret of [CODE, s.destination, s.destination.slice(1)]) expect(raw).not.toContain(secret)
  })

  it('of an approval say how many wrong codes came before it, over all verifications of the number', async () => {
    const s = await started()
    const wrongChecks = async () =>
      (await s.told()).flatMap(({ data }) => ('wrong_checks' in data ? [data.wrong_checks] : []))
    await s.check()
    expect(await wrongChecks()).toEqual([0])
    const second = await s.begin()
    for (const _ of [1, 2]) await s.checkOf(second, wrongFor(CODE))
    await s.verifications.cancel(APPLICATION, second)
    const third = await s.begin()
    await s.checkOf(third, wrongFor(CODE))
    await s.checkOf(third, CODE)
    expect(await wrongChecks()).toEqual([0, 3])
    const test = await s.start(freshDestination(), { testCode: CODE, held: 'test_number' })
    await s.checkOf(test.id, wrongFor(CODE))
    await s.checkOf(test.id, CODE)
    expect(await wrongChecks()).toEqual([0, 3, 1])
  })

  it('of a number that was disabled say whose it is and after how many, and of the number its last digits', async () => {
    const s = await started({ wrongInARowMax: 2 })
    for (const _ of [1, 2]) await s.check(wrongFor(CODE))
    const disabled = (await s.told()).find(({ type }) => type === 'number.disabled')
    expect(disabled?.data).toEqual({
      verification: s.id,
      application: 'shop',
      purpose: 'default',
      channel: 'sms',
      to: `+*******${s.destination.slice(-4)}`,
      wrong_checks: 2,
    })
  })

  it('of a verification that another took the place of say so', async () => {
    const s = await started({ sendReserveMs: 300_000 })
    await s.begin()
    const canceled = (await s.told()).find(({ type }) => type === 'verification.canceled')
    expect(canceled?.data).toMatchObject({ verification: s.id, reason: 'superseded' })
  })

  it('are left only of the types that are wanted', async () => {
    const wanted: EventType[] = ['verification.approved', 'send.delivered']
    const s = await started({ events: wanted })
    await s.sent(accepted)
    await s.receipt('delivered')
    await s.check()
    expect((await s.told()).map(({ type }) => type)).toEqual(['send.delivered', 'verification.approved'])
  })

  it('are not written where nobody is told: no script even knows of them', async () => {
    const s = await started({ events: [] })
    await s.sent(accepted)
    await s.check()
    expect(await connection.redis.exists(s.keys.outbox())).toBe(0)
    expect(luaEvents(s.policy, s.keys)).toBe('')
  })
})

describe('a shared limit', () => {
  it('is told once when it is nearly reached, and once when it refuses, however many are refused', async () => {
    const s = await started({ rules: shared, sendLimits: [] })
    for (let more = 0; more < 9; more += 1) await s.verifications.start(s.requestFor(freshDestination()))
    const limits = (await s.told()).filter(({ type }) => type === 'limit.reached')
    expect(limits.map(({ data }) => data)).toEqual(
      ['nearly', 'reached'].map((state) => ({
        limit: 'application_day',
        state,
        scope: 'application',
        application: 'shop',
      })),
    )
  })

  it('of the form is told as the application it is, and of a region as the form’s own', async () => {
    const rules = [
      ...limit({ name: 'form_day', scope: 'form', counts: 'sends', max: 2, mode: 'block' } as Rule),
      ...limit({ name: 'region_day', scope: 'region', counts: 'sends', max: 1, mode: 'observe' } as Rule),
    ]
    const s = await started({ rules, sendLimits: [] })
    for (const application of [APPLICATION, FORM_APPLICATION, FORM_APPLICATION, FORM_APPLICATION])
      await s.verifications.start(s.requestFor(freshDestination(), { application }))
    const limits = (await s.told()).flatMap((told) => (told.type === 'limit.reached' ? [told.data] : []))
    const form = { application: 'form' }
    expect(limits).toEqual([
      { limit: 'region_day', state: 'nearly', scope: 'region', region: 'US' },
      { limit: 'region_day', state: 'nearly', scope: 'region', region: 'US', ...form },
      { limit: 'form_day', state: 'nearly', scope: 'application', ...form },
      { limit: 'form_day', state: 'reached', scope: 'application', ...form },
    ])
  })

  it.each(['application', 'overall'] as const)(
    'of wrong codes of %s is told when it is nearly reached, and when it refuses, once each',
    async (scope) => {
      const name = `${scope}_wrong_hour`
      const guessRules = limit({ name, scope, counts: 'wrong_checks', max: 5, mode: 'block' } as Rule)
      const s = await started({ guessRules, checksMax: 10 })
      for (let guess = 0; guess < 3; guess += 1) await s.check(wrongFor(CODE))
      expect((await s.told()).filter(({ type }) => type === 'limit.reached')).toEqual([])
      for (let guess = 0; guess < 5; guess += 1) await s.check(wrongFor(CODE))
      const limits = (await s.told()).filter(({ type }) => type === 'limit.reached')
      const whose = scope === 'application' ? { application: 'shop' } : {}
      expect(limits.map(({ data }) => data)).toEqual(
        ['nearly', 'reached'].map((state) => ({ limit: name, state, scope, ...whose })),
      )
    },
  )

  it('of the wrong codes of one address is not told of', async () => {
    const guessRules = limit({ name: 'ip_wrong_hour', scope: 'ip', counts: 'wrong_checks', max: 1 } as Rule)
    const s = await started({ guessRules })
    const guess = { application: APPLICATION, id: s.id, code: wrongFor(CODE), clientIp: '203.0.113.7' }
    for (let time = 0; time < 3; time += 1) await s.verifications.check(guess)
    expect((await s.told()).filter(({ type }) => type === 'limit.reached')).toEqual([])
  })

  it('that is only asked about is not told of', async () => {
    const rules = limit({
      name: 'overall_day',
      scope: 'overall',
      counts: 'sends',
      max: 5,
      mode: 'block',
    } as Rule)
    const s = await started({ rules, sendLimits: [] })
    for (let more = 0; more < 2; more += 1) await s.verifications.start(s.requestFor(freshDestination()))
    const held = await s.verifications.start(
      s.requestFor(freshDestination(), { held: 'number_denied', silent: true }),
    )
    expect(held.kind).toBe('started')
    expect((await s.told()).filter(({ type }) => type === 'limit.reached')).toEqual([])
  })

  it.each(['ip', 'prefix'] as const)(
    'and not one of one %s: that would tell an attacker’s story',
    async (scope) => {
      const own = limit({ name: `${scope}_hour`, scope, counts: 'sends', max: 1, mode: 'block' } as Rule)
      const s = await started({ rules: own })
      const refused = await s.verifications.start(s.requestFor(s.destination, { clientIp: '203.0.113.7' }))
      await s.verifications.start(s.requestFor(s.destination, { clientIp: '203.0.113.7' }))
      expect(refused.kind).not.toBe('unused')
      expect((await s.told()).filter(({ type }) => type === 'limit.reached')).toEqual([])
    },
  )
})

describe('the outbox', () => {
  it('shows what lies there to one program at a time, and the same again until it is removed', async () => {
    const s = await started()
    const first = await s.outbox.take('mine', 10)
    expect(await s.outbox.take('another', 10)).toEqual({ kind: 'busy' })
    expect(await s.outbox.take('mine', 10)).toEqual(first)
    expect(first).toMatchObject({ kind: 'taken', waiting: 1 })
    await s.outbox.remove(first.kind === 'taken' ? first.entries.map(({ id }) => id) : [])
    expect(await s.outbox.take('mine', 10)).toEqual({ kind: 'taken', waiting: 0, entries: [] })
  })

  it('gives its lease to the next one when its holder is gone', async () => {
    const s = await started()
    await s.outbox.take('gone', 10)
    const lease = await connection.redis.pttl(s.keys.outboxLease())
    expect(lease).toBeGreaterThan(0)
    expect(lease).toBeLessThanOrEqual(5_000)
    await connection.redis.del(s.keys.outboxLease())
    expect(await s.outbox.take('next', 10)).toMatchObject({ kind: 'taken', waiting: 1 })
  })

  it('shows an entry nobody can read as such, and goes on', async () => {
    const s = await started()
    await connection.redis.xadd(s.keys.outbox(), '*', 'type', 'verification.stolen')
    const taken = await s.outbox.take('mine', 10)
    expect(taken.kind === 'taken' && taken.entries.map(({ told }) => told?.event.type)).toEqual([
      'verification.started',
      undefined,
    ])
  })

  it('forgets a day after the last event', async () => {
    const s = await started()
    const ms = await connection.redis.pttl(s.keys.outbox())
    expect(ms).toBeGreaterThan(24 * 3_600_000 - 60_000)
    expect(ms).toBeLessThanOrEqual(24 * 3_600_000)
  })

  it('knows a receiver that is gone from any other', async () => {
    const s = await started()
    await s.outbox.setGone('one')
    expect([await s.outbox.isGone('one'), await s.outbox.isGone('other')]).toEqual([true, false])
  })
})
