/**
 * What a code is bound to: the stored verification, MAC and all, carried over to where one thing is different, as
 * somebody with a hand in Redis could. The right code is wrong there, so nothing but the MAC can have told.
 */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import { type Context, parseContext } from '#verification/context.ts'
import { type Application, newVerificationId, type Purpose } from '#verification/verification.ts'

const connection = useRedis()
const LIFE_S = 60

function payment(amount: string): Context {
  const context = parseContext({ amount, currency: 'EUR', payee: 'Corner Shop' })
  if (!context) throw new Error('No payment')
  return context
}

/** A verification in Redis, and a process that has never heard of it. */
async function stored(context?: Context) {
  const store = storeOn(connection.redis)
  const { id } = await store.start(freshDestination(), context ? { context } : {})
  const other = storeOn(connection.redis, {}, { prefix: store.prefix, vault: store.vault })
  return { store: other, id, code: await store.codeFor(id), hash: await store.hash(id), context }
}

type Stored = Awaited<ReturnType<typeof stored>>
type Place = { application?: Application; id?: Stored['id']; fields?: object; context?: Context }

async function checkCarriedTo({ store, id, code, hash, context }: Stored, to: Place) {
  const place = { application: APPLICATION, id, code, ...(context ? { context } : {}), ...to }
  const key = store.keys.verification(place.application, place.id)
  await connection.redis.hset(key, { ...hash, ...to.fields })
  await connection.redis.expire(key, LIFE_S)
  return store.verifications.check(place)
}

describe('the right code of a verification', () => {
  it('is approved where it belongs', async () => {
    expect(await checkCarriedTo(await stored(payment('1')), {})).toMatchObject({ verdict: 'approved' })
  })

  it.each<[string, (own: Stored) => Place, Context?]>([
    ['of another application', () => ({ application: 'bank' as Application })],
    ['with another id', () => ({ id: newVerificationId() })],
    [
      'of another number',
      ({ store }) => ({ fields: { to_tag: store.vault.tagDestination(freshDestination()) } }),
    ],
    ['for another purpose', () => ({ fields: { purpose: 'login' as Purpose } })],
    ['for another payment', () => ({ context: payment('2') }), payment('1')],
  ])('is wrong for one that is the same, but %s', async (_, place, context) => {
    const own = await stored(context)
    expect(await checkCarriedTo(own, place(own))).toMatchObject({ verdict: 'wrong', checksLeft: 4 })
  })
})
