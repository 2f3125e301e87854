/**
 * Programs whose limits of a number differ, as while they are restarted one by one: they count in one window, and each
 * holds its own limit against it, so that none forgets what another counted.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import type { Policy } from '#verification/policy.ts'

const connection = useRedis()
const DAY_MS = 86_400_000
const ALONE = { rules: [], guessRules: [], checksMax: 10 }

/** Two stores on the same keys. */
function storesOf(first: Partial<Policy>, other: Partial<Policy>) {
  const store = storeOn(connection.redis, { ...ALONE, ...first })
  return [store, storeOn(connection.redis, { ...ALONE, ...other }, store)] as const
}

const atMost = (name: string, max: number) => [{ name, max, windowMs: DAY_MS }]
const turns = fc.array(fc.nat(1), { minLength: 10, maxLength: 30 })
const max = fc.integer({ min: 1, max: 8 })

describe('of two programs with limits of their own each refuses by its own,', () => {
  it('however their sends follow each other', async () => {
    await fc.assert(
      fc.asyncProperty(turns, fc.tuple(max, max), async (order, limits) => {
        const stores = storesOf(
          { sendLimits: atMost('sends', limits[0]) },
          { sendLimits: atMost('sends', limits[1]) },
        )
        const destination = freshDestination()
        let sent = 0
        for (const turn of order) {
          const [store, limit] = [stores[turn] ?? stores[0], limits[turn] ?? 0]
          const started = await store.verifications.start(store.requestFor(destination))
          expect(started).toMatchObject(sent < limit ? { kind: 'started' } : { refusal: 'send_limit' })
          if (started.kind === 'refused') continue
          sent += 1
          await store.verifications.cancel(APPLICATION, started.id)
        }
      }),
      { numRuns: 20 },
    )
  })

  it('however their wrong codes do', async () => {
    await fc.assert(
      fc.asyncProperty(turns, fc.tuple(max, max), async (order, limits) => {
        const stores = storesOf(
          { wrongCheckLimits: atMost('wrong', limits[0]) },
          { wrongCheckLimits: atMost('wrong', limits[1]) },
        )
        const { id } = await stores[0].start(freshDestination())
        const wrong = wrongFor(await stores[0].codeFor(id))
        let counted = 0
        for (const turn of order) {
          const [store, limit] = [stores[turn] ?? stores[0], limits[turn] ?? 0]
          const checked = await store.check(id, wrong)
          expect(checked).toMatchObject(counted < limit ? { verdict: 'wrong' } : { refusal: 'check_limit' })
          if (counted < limit) counted += 1
        }
      }),
      { numRuns: 20 },
    )
  })
})

describe('of two programs with waits of their own', () => {
  it('the wait that was told holds at both, and none says that fewer than no sends are left', async () => {
    const [many, few] = storesOf({ resendWaitsMs: [0, 0, 60_000] }, { resendWaitsMs: [0] })
    const destination = freshDestination()
    const { id } = await many.start(destination)
    expect(await few.verifications.read(APPLICATION, id)).toMatchObject({ sendsLeft: 1 })
    await many.start(destination)
    expect(await few.verifications.read(APPLICATION, id)).toMatchObject({ sendsLeft: 1 })
    expect(await many.verifications.read(APPLICATION, id)).toMatchObject({ sendsLeft: 2 })
    expect(await few.verifications.resend(APPLICATION, id)).toMatchObject({ send: 3, sendsLeft: 0 })
    expect(await many.verifications.read(APPLICATION, id)).toMatchObject({ sendsLeft: 0 })
    expect(await many.verifications.resend(APPLICATION, id)).toMatchObject({ refusal: 'sends_exhausted' })
  })

  it('a wait is not cut short by the other', async () => {
    const [slow, quick] = storesOf({ resendWaitsMs: [60_000] }, { resendWaitsMs: [0, 0] })
    const { id } = await slow.start(freshDestination())
    expect(await quick.verifications.resend(APPLICATION, id)).toMatchObject({ refusal: 'resend_cooldown' })
  })
})
