/**
 * Money is counted for what leaves: whatever is asked for again, in whichever channel, language or for which payment,
 * and whatever becomes of it, the meters hold the price of the sends in the ledger and of their second messages, and no
 * other.
 */
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, codeOf, destinationOf, freshDestination, storeOn } from '#test/fixtures/store.ts'
import { parseContext } from '#verification/context.ts'
import type { Rule } from '#verification/gate.ts'
import type { Locale } from '#verification/message.ts'
import type { Outcome } from '#verification/outcome.ts'
import { priceOf } from '#verification/price.ts'
import type { Channel, Purpose, VerificationId } from '#verification/verification.ts'

const connection = useRedis()
let prefix = ''

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

const DAY_MS = 86_400_000
/** A history that fails is played many times over, to make it short. */
const LONGEST_MS = 60_000
const SCOPES = ['region', 'application', 'overall'] as const
const budgets = (max: number): Rule[] =>
  SCOPES.map((scope) => ({
    name: `${scope}_spend`,
    scope,
    counts: 'spend',
    windowMs: DAY_MS,
    max,
    mode: 'block',
  }))

const CHANNELS: readonly Channel[] = ['sms', 'call']
const LOCALES: readonly Locale[] = ['en', 'ja', 'hi']
const PAYMENTS = [undefined, parseContext({ amount: '1', currency: 'EUR', payee: 'Shop' })]
const segmentsOf = (locale: Locale, payment: boolean) => LOCALES.indexOf(locale) + 1 + (payment ? 3 : 0)

function spending(max: number, more: object = {}) {
  const policy = { rules: budgets(max), resendWaitsMs: [0, 0], sendLimits: [], ...more }
  const store = storeOn(connection.redis, policy, undefined, (locale: Locale, context?: object) =>
    segmentsOf(locale, context !== undefined),
  )
  prefix = store.prefix
  return store
}

type Store = ReturnType<typeof spending>

/** What the meter of each scope holds. */
async function spentIn({ keys }: Store): Promise<number[]> {
  const names = [
    keys.scope('region', 'US'),
    keys.scope('application', APPLICATION),
    keys.scope('overall', 'all'),
  ]
  const meters = await Promise.all(names.map((key) => connection.redis.hget(key, `m${DAY_MS / 1_000}`)))
  return meters.map((meter) => Number(meter?.split(' ')[1] ?? 0))
}

/**
 * What each scope's meter must hold: the price of every send in the ledger but tests, and of every second message that
 * was handed out. A send that is held back costs nothing; its silent caller's own meters do not tell.
 */
async function pricesOfLedger(store: Store, seconds: ReadonlyMap<string, number> = new Map()) {
  const keys = await connection.redis.keys(`${store.keys.verifications(APPLICATION)}*`)
  const hashes = await Promise.all(
    keys.map(async (key) => ({
      ...(await connection.redis.hgetall(key)),
      seconds: String(seconds.get(key) ?? 0),
    })),
  )
  const all: Hash[] = hashes.filter((hash: Hash) => hash.held !== 'test_number')
  const sum = (sendsOf: (hash: Hash) => number) =>
    all.reduce((total, hash) => total + priceOfOne(store, hash) * sendsOf(hash), 0)
  const own = sum(({ sends, seconds }) => Number(sends) + Number(seconds))
  const left = (hash: Hash) => statesIn(hash).filter((state) => state !== 'suppressed').length
  return [own, own, sum((hash) => left(hash) + Number(hash.seconds))]
}

type Hash = Record<string, string>

const statesIn = (hash: Hash) =>
  Array.from({ length: Number(hash.sends) }, (_, index) => hash[`${index + 1}:state`])

function priceOfOne({ policy }: Store, hash: Hash): number {
  const channel = hash.channel as Channel
  const segments = segmentsOf(hash.locale as Locale, hash.paid === '1')
  return priceOf(policy.prices, { region: 'US', segments, channel })
}

describe('a start that sends a pending verification again costs what that one sends:', () => {
  it.each([
    ['call', 'sms', 'en', 'en'],
    ['sms', 'call', 'en', 'en'],
    ['sms', 'sms', 'hi', 'en'],
    ['sms', 'sms', 'en', 'hi'],
  ] as const)('a %s asked for again as %s, %s as %s', async (channel, other, locale, otherLocale) => {
    const store = spending(10_000_000)
    const destination = freshDestination()
    await store.start(destination, { channel, locale })
    const once = (await spentIn(store))[0] ?? 0
    expect(await store.start(destination, { channel: other, locale: otherLocale })).toMatchObject({
      kind: 'sent_again',
      channel,
      locale,
    })
    expect(await spentIn(store)).toEqual(Array(3).fill(2 * once))
  })

  it('and a budget with room for the message asked for refuses the dearer one that would leave', async () => {
    const store = spending(45_000)
    const destination = freshDestination()
    await store.start(destination, { channel: 'call' })
    const again = await store.verifications.start(store.requestFor(destination, { channel: 'sms' }))
    expect(again).toMatchObject({ refusal: 'spend_limit' })
  })

  it('to a number that is trusted only since, the rules hold it began with', async () => {
    const prefixRule: Rule = {
      name: 'p',
      scope: 'prefix',
      counts: 'sends',
      windowMs: DAY_MS,
      max: 1,
      mode: 'block',
    }
    const store = spending(10_000_000, { rules: [prefixRule] })
    const destination = freshDestination()
    await store.start(destination)
    const again = await store.verifications.start(store.requestFor(destination, { trusted: true }))
    expect(again).toMatchObject({ limit: 'p' })
  })
})

const PURPOSES = ['login', 'payment'] as Purpose[]
const start = fc.record({
  kind: fc.constant('start' as const),
  number: fc.nat(2),
  purpose: fc.constantFrom(...PURPOSES),
  channel: fc.constantFrom(...CHANNELS),
  locale: fc.constantFrom(...LOCALES),
  payment: fc.nat(1),
})
const resend = fc.record({ kind: fc.constant('resend' as const), which: fc.nat(20) })
const test = fc.record({ kind: fc.constant('test' as const) })
const OUTCOMES: readonly (Outcome | 'lost')[] = [
  { kind: 'accepted', messageId: 'm' },
  { kind: 'busy', reason: 'not_connected' },
  { kind: 'rejected', reason: 'refused_by_provider' },
  { kind: 'unknown', reason: 'timeout' },
  { kind: 'unknown', reason: 'timeout' },
  'lost',
]
const attempt = fc.record({
  kind: fc.constant('attempt' as const),
  which: fc.nat(20),
  outcome: fc.constantFrom(...OUTCOMES),
})

/** Workers, and what their provider was given: how many messages of each send may have left. */
function workersOf(store: Store) {
  const left = new Map<string, number>()
  const seconds = new Map<string, number>()
  const handedOut = new Set<string>()
  let attempts = 0

  /** One attempt at the newest send of a verification. */
  async function makeAttempt(id: VerificationId, outcome: Outcome | 'lost'): Promise<void> {
    const key = store.keys.verification(APPLICATION, id)
    const send = { application: APPLICATION, verification: id, send: Number((await store.hash(id)).sends) }
    const token = `t${++attempts}`
    const claim = await store.deliveries.claim(send, token)
    if (claim.kind !== 'claimed') return
    const name = `${id} ${send.send}`
    if (claim.mayHaveLeftMs !== undefined && !handedOut.has(name)) {
      handedOut.add(name)
      seconds.set(key, (seconds.get(key) ?? 0) + 1)
    }
    if (outcome === 'lost') await connection.redis.hset(key, `${send.send}:lease`, 0)
    else await store.deliveries.record(send, { token, outcome, waitMs: 0 })
    if (outcome !== 'lost' && outcome.kind === 'busy') return
    left.set(key, (left.get(key) ?? 0) + 1)
  }

  /** The price of all that may have left. */
  async function spent(): Promise<number> {
    const prices = [...left].map(async ([key, count]) => {
      const hash = await connection.redis.hgetall(key)
      return count * priceOfOne(store, hash)
    })
    return (await Promise.all(prices)).reduce((sum, price) => sum + price, 0)
  }
  return { makeAttempt, seconds, spent }
}

it(
  'what the meters hold is the price of all sends in the ledger and their second messages, and no more leaves than the budget',
  async () => {
    const steps = fc.array(
      fc.oneof(
        { arbitrary: start, weight: 6 },
        { arbitrary: resend, weight: 3 },
        { arbitrary: attempt, weight: 8 },
        test,
      ),
      {
        minLength: 5,
        maxLength: 60,
      },
    )
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(400_000, 10_000_000), async (asked, max) => {
        const store = spending(max, { receiptWaitMs: 0 })
        const workers = workersOf(store)
        const numbers = [freshDestination(), freshDestination(), freshDestination()] as const
        const ids: VerificationId[] = []
        for (const step of asked) {
          if (step.kind === 'test') {
            const more = { held: 'test_number', testCode: codeOf('123456') } as const
            await store.verifications.start(store.requestFor(destinationOf('+12025550123'), more))
          } else if (step.kind === 'attempt') {
            const id = ids[step.which % (ids.length || 1)]
            if (id) await workers.makeAttempt(id, step.outcome)
          } else if (step.kind === 'resend') {
            const id = ids[step.which % (ids.length || 1)]
            if (id) await store.verifications.resend(APPLICATION, id)
          } else {
            const { number, payment, ...more } = step
            const context = PAYMENTS[payment]
            // The last number is on the deny list, and its caller is not told.
            const silent = number === 2 ? ({ held: 'number_denied', silent: true } as const) : {}
            const request = { ...more, ...(context ? { context } : {}), ...silent }
            const destination = numbers[number] ?? numbers[0]
            const started = await store.verifications.start(store.requestFor(destination, request))
            if (started.kind !== 'started') continue
            ids.push(started.id)
            const key = store.keys.verification(APPLICATION, started.id)
            // Which payment it was for is gone once another has taken its place.
            await connection.redis.hset(key, 'paid', String(payment))
          }
        }
        const prices = await pricesOfLedger(store, workers.seconds)
        expect(await spentIn(store)).toEqual(prices)
        expect(Math.max(...prices)).toBeLessThanOrEqual(max)
        expect(await workers.spent()).toBeLessThanOrEqual(max)
      }),
      { numRuns: 40 },
    )
  },
  LONGEST_MS,
)
