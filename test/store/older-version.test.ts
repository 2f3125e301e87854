/**
 * A verification as an older version left it, without the fields that were added since: during an upgrade the newer one
 * goes on with it. A field that is added to ledger.lua's list belongs into LATER.
 */
import { describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { parseContext } from '#verification/context.ts'
import { EVENT_TYPES } from '#verification/event.ts'
import type { Outcome } from '#verification/outcome.ts'

const connection = useRedis()

/** Of the verification, and of each of its sends (`1:from`, `1:a1`, ...). */
const LATER = /^(line|segments|gates|explain|held|trusted|spend|context|context_tag|[0-9]+:(from|a[0-9]+))$/

const payment = parseContext({ amount: '1249.90', currency: 'EUR', payee: 'Corner Shop' })
if (!payment) throw new Error('No payment')

const accepted: Outcome = { kind: 'accepted', messageId: 'm', provider: 'relay' }
const unknown: Outcome = { kind: 'unknown', reason: 'timeout', provider: 'relay' }
const busy: Outcome = { kind: 'busy', reason: 'not_connected', provider: 'relay' }

async function older() {
  const policy = { resendWaitsMs: [0, 0, 0], receiptWaitMs: 0, sweepAfterMs: 0, events: EVENT_TYPES }
  const store = storeOn(connection.redis, policy)
  await store.deliveries.seeApplications([APPLICATION], Date.now())
  const destination = freshDestination()
  const { id } = await store.start(destination)
  const code = await store.codeFor(id)
  const key = store.keys.verification(APPLICATION, id)
  const line = store.keys.line('+12025550199')
  let tokens = 0

  /** As the older version would have left it: it knew no lines either. */
  async function strip(): Promise<string[]> {
    const later = Object.keys(await store.hash(id)).filter((name) => LATER.test(name))
    if (later.length > 0) await connection.redis.hdel(key, ...later)
    await connection.redis.del(line)
    return later
  }
  /** One attempt at the newest send, by a worker of either version. */
  async function attempt(outcome: Outcome) {
    const send = { application: APPLICATION, verification: id, send: Number((await store.hash(id)).sends) }
    const token = `t${++tokens}`
    const claim = await store.deliveries.claim(send, token)
    expect(claim).toMatchObject({ kind: 'claimed', code, destination })
    return store.deliveries.record(send, { token, outcome, waitMs: 0, from: '+12025550199' })
  }
  const first = { application: APPLICATION, verification: id, send: 1 }
  const read = async () => {
    const view = await store.verifications.read(APPLICATION, id)
    if (!view) throw new Error('gone')
    return `${view.status}: ${view.sends.map(({ state }) => state).join(' ')}`
  }
  return { store, destination, id, code, first, strip, attempt, read }
}
type Older = Awaited<ReturnType<typeof older>>

describe('a verification of an older version', () => {
  it.each<[string, string, (begun: Older) => Promise<unknown>]>([
    ['is sent', 'pending: accepted', ({ attempt }) => attempt(accepted)],
    [
      'is sent once more when the older one does not know how its attempt ended',
      'pending: accepted',
      async ({ attempt, strip }) => {
        await attempt(unknown)
        expect(await strip()).toContain('1:a1')
        await attempt(accepted)
      },
    ],
    [
      'is tried again after a busy attempt',
      'pending: accepted',
      async ({ attempt, strip }) => {
        await attempt(busy)
        await strip()
        await attempt(accepted)
      },
    ],
    [
      'is found by its receipt',
      'pending: delivered',
      async ({ store, first, attempt, strip }) => {
        await attempt(unknown)
        await strip()
        await store.deliveries.takeReceipt(first, { messageId: 'm', state: 'delivered' })
      },
    ],
    [
      'is brought to the queue by a sweep',
      'pending: queued',
      async ({ store, first }) =>
        expect(await store.deliveries.sweep(APPLICATION, 10)).toEqual({ looked: 1, sends: [first] }),
    ],
    [
      'is sent again by its id, and goes out',
      'pending: superseded accepted',
      async ({ store, id, attempt }) => {
        expect(await store.verifications.resend(APPLICATION, id)).toMatchObject({ kind: 'sent_again' })
        await attempt(accepted)
      },
    ],
    [
      'is sent again by its number, and goes out',
      'pending: superseded accepted',
      async ({ store, destination, attempt }) => {
        expect(await store.start(destination)).toMatchObject({ kind: 'sent_again' })
        await attempt(accepted)
      },
    ],
    [
      'is checked',
      'approved: accepted',
      async ({ store, id, code, attempt, strip }) => {
        await attempt(accepted)
        await strip()
        expect(await store.check(id, wrongFor(code))).toMatchObject({ verdict: 'wrong' })
        expect(await store.check(id, code)).toMatchObject({ verdict: 'approved' })
      },
    ],
    ['is canceled', 'canceled: canceled', ({ store, id }) => store.verifications.cancel(APPLICATION, id)],
    [
      'is replaced by one for a payment',
      'canceled: superseded',
      ({ store, destination }) => store.start(destination, { context: payment }),
    ],
  ])('%s, and stands as %s', async (_, standing, live) => {
    const begun = await older()
    expect(await begun.strip()).toEqual(expect.arrayContaining(['line', 'gates', 'spend']))
    expect(await begun.read()).toBe('pending: queued')
    await live(begun)
    expect(await begun.read()).toBe(standing)
    expect(await keysWithoutTtl(connection.redis, begun.store.prefix)).toEqual([])
  })

  it('is erased with its number', async () => {
    const { store, destination, id, strip } = await older()
    await strip()
    await store.destinations.erase(APPLICATION, destination)
    expect(await store.hash(id)).toEqual({})
  })
})
