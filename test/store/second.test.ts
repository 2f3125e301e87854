/**
 * The second message of a send, after a first that nobody knows the end of: it is counted like a send of its own in what
 * is shared, and stopped where a send would be.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { createOutbox } from '#store/outbox.ts'
import { createStop } from '#store/stop.ts'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Counted, Mode, Rule, Scope } from '#verification/gate.ts'
import type { Outcome } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import { type Application, FORM_APPLICATION } from '#verification/verification.ts'

const connection = useRedis()
const HOUR = 3_600_000
const PRICE = 15_000
let prefix = ''
let tokens = 0

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

const unknown: Outcome = { kind: 'unknown', reason: 'timeout' }
const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
const accepted: Outcome = { kind: 'accepted', messageId: 'm' }

const SHARED = ['region', 'form', 'application', 'overall'] as const
const rule = (scope: Scope, counts: Counted, max: number, mode: Mode = 'block'): Rule =>
  ({ name: `${scope}_${counts}`, scope, counts, max, mode, windowMs: HOUR }) as Rule
/** Wide enough to say no to nothing. */
const everyRule = [...SHARED, 'ip', 'prefix'].flatMap((scope) => [
  rule(scope as Scope, 'sends', 1_000),
  rule(scope as Scope, 'spend', 1_000 * PRICE),
])

/** One send, and attempts at it. */
async function sending(rules: readonly Rule[], more: Partial<Policy> = {}, application = APPLICATION) {
  const store = storeOn(connection.redis, { rules, receiptWaitMs: 0, sweepAfterMs: 0, ...more })
  prefix = store.prefix
  await store.deliveries.seeApplications([application], Date.now())
  const destination = freshDestination()
  const { id } = await store.start(destination, { application, clientIp: '203.0.113.7' })
  const send = { application, verification: id, send: 1 }
  const claim = () => store.deliveries.claim(send, `second-${++tokens}`)

  async function attempt(outcome: Outcome) {
    const claimed = await claim()
    expect(claimed.kind).toBe('claimed')
    await store.deliveries.record(send, { token: `second-${tokens}`, outcome, waitMs: 0 })
    return claimed
  }
  /** `messages price` of every meter there is. */
  async function metered(): Promise<Record<string, string>> {
    const keys = await connection.redis.keys(`{${prefix}}:@*`)
    const found: [string, string][] = []
    for (const key of keys.sort()) {
      if (!/:@[inxrfao]:/.test(key)) continue
      const totals = (await connection.redis.hmget(key, 's3600', 'm3600')).map((one) => one?.split(' ')[1])
      if (totals[0]) found.push([key.replace(/^.*:@(.).*$/, '$1'), totals.join(' ')])
    }
    return Object.fromEntries(found)
  }
  return { ...store, id, send, claim, attempt, metered }
}

describe('a second message', () => {
  it.each<[string, Application, string[]]>([
    ['an application', APPLICATION, ['a', 'o', 'r']],
    ['the form', FORM_APPLICATION, ['a', 'f', 'o', 'r']],
  ])(
    'of %s is counted in number and money in all that is shared, and in nothing else',
    async (_, of, both) => {
      const s = await sending(everyRule, {}, of)
      const once = `1 ${PRICE}`
      const before = await s.metered()
      expect(new Set(Object.values(before))).toEqual(new Set([once]))
      await s.attempt(unknown)
      expect(await s.metered()).toEqual(before)
      await s.attempt(accepted)
      const twice = Object.fromEntries(both.map((scope) => [scope, `2 ${2 * PRICE}`]))
      expect(await s.metered()).toEqual({ ...before, ...twice })
    },
  )

  it.each<[string, Outcome[], number]>([
    ['comes back busy, however often,', [unknown, busy, busy, busy, accepted], 2],
    ['is unknown, too,', [unknown, unknown], 2],
    ['follows busy attempts', [busy, busy, unknown, busy, unknown], 2],
  ])('that %s is counted once', async (_, outcomes, times) => {
    const s = await sending(everyRule)
    for (const outcome of outcomes) await s.attempt(outcome)
    expect(await s.metered()).toMatchObject({ o: `${times} ${times * PRICE}` })
  })

  it('after a lost worker is counted, and so is its claim that is given again', async () => {
    const s = await sending(everyRule)
    await s.claim()
    await connection.redis.hset(s.keys.verification(APPLICATION, s.id), '1:lease', 0)
    const claims = [await s.deliveries.claim(s.send, 'same'), await s.deliveries.claim(s.send, 'same')]
    expect(claims).toMatchObject([{ attempt: 2 }, { attempt: 2 }])
    expect(await s.metered()).toMatchObject({ o: `2 ${2 * PRICE}` })
  })

  it('that nobody is to make is not counted', async () => {
    const s = await sending(everyRule, { unknown: 'stop' })
    await s.attempt(unknown)
    expect(await s.claim()).toMatchObject({ kind: 'closed', why: 'unknown' })
    expect(await s.metered()).toMatchObject({ o: `1 ${PRICE}` })
  })

  it.each(SHARED)(
    'does not leave past a budget of %s: the send stays unknown, and says why',
    async (scope) => {
      const of = scope === 'form' ? FORM_APPLICATION : APPLICATION
      const s = await sending([rule(scope, 'spend', 2 * PRICE - 1)], {}, of)
      await s.attempt(unknown)
      expect(await s.claim()).toEqual({
        kind: 'closed',
        why: 'unknown',
        refusal: 'spend_limit',
        limit: `${scope}_spend`,
      })
      const view = await s.verifications.read(of, s.id)
      expect(view?.sends).toMatchObject([
        { state: 'unknown', reason: 'spend_limit', possibleDuplicate: false, attempts: 1 },
      ])
      expect(view?.sends[0]?.timeline).toMatchObject([{ outcome: 'unknown', reason: 'timeout' }])
      // Also where there is room by now.
      const wide = storeOn(connection.redis, { ...s.policy, rules: [] }, s)
      expect(await wide.deliveries.claim(s.send, 'late')).toEqual({ kind: 'closed', why: 'unknown' })
      expect(await s.deliveries.sweep(of, 10)).toMatchObject({ sends: [] })
      expect(await connection.redis.zcard(s.keys.line('+12025550199'))).toBe(0)
    },
  )

  it('does not leave past a limit of sends either, and does where the limit only speaks up', async () => {
    const full = await sending([rule('overall', 'sends', 1)])
    await full.attempt(unknown)
    expect(await full.claim()).toMatchObject({ why: 'unknown', refusal: 'traffic_limit' })
    for (const mode of ['observe', 'challenge'] as const) {
      const s = await sending([rule('overall', 'sends', 1, mode)])
      await s.attempt(unknown)
      expect(await s.attempt(accepted)).toMatchObject({ explain: `overall_sends=${mode}` })
    }
  })

  it('waits while sending is stopped, and costs nothing meanwhile', async () => {
    const s = await sending(everyRule)
    await s.attempt(unknown)
    const stop = createStop(s)
    await stop.stop('test', Date.now())
    expect(await s.claim()).toMatchObject({ kind: 'wait' })
    expect(await s.metered()).toMatchObject({ o: `1 ${PRICE}` })
    await stop.allow()
    await s.attempt(accepted)
    expect(await s.metered()).toMatchObject({ o: `2 ${2 * PRICE}` })
  })

  it('raises the alarm at four fifths, and the event; and the event when it is refused', async () => {
    const s = await sending([rule('application', 'spend', 2 * PRICE)], { events: ['limit.reached'] })
    await s.attempt(unknown)
    expect(await s.attempt(accepted)).toMatchObject({ explain: 'application_spend=alarm' })
    const other = await s.verifications.start(s.requestFor(freshDestination()))
    expect(other).toMatchObject({ refusal: 'spend_limit' })
    const taken = await createOutbox(s).take('test', 10)
    const entries = taken.kind === 'taken' ? taken.entries : []
    expect(entries.map(({ told }) => told?.event)).toMatchObject(
      ['nearly', 'reached'].map((state) => ({
        type: 'limit.reached',
        data: { limit: 'application_spend', state },
      })),
    )
  })

  it('of a crowd leaves as often as the budget has room, however many workers ask at once', async () => {
    const s = await sending([rule('overall', 'spend', 15 * PRICE), rule('overall', 'sends', 99)])
    const sends = [s.send]
    for (let more = 1; more < 10; more++) {
      const { id } = await s.start(freshDestination())
      sends.push({ application: APPLICATION, verification: id, send: 1 })
    }
    const round = async (name: string) => {
      const claims = await Promise.all(sends.map((send, at) => s.deliveries.claim(send, `${name}${at}`)))
      await Promise.all(
        sends.map((send, at) =>
          s.deliveries.record(send, { token: `${name}${at}`, outcome: unknown, waitMs: 0 }),
        ),
      )
      return claims.filter(({ kind }) => kind === 'claimed').length
    }
    expect([await round('first'), await round('second')]).toEqual([10, 5])
    expect(await s.metered()).toEqual({ o: `15 ${15 * PRICE}` })
  })
})
