/** RESEND_CODE=new: one code is alive at a time, and an old one is a wrong one. Races by the hundred on a real Redis. */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'

const connection = useRedis()
const ROUNDS = 100
let prefix = ''

function newStore(overrides = {}) {
  const store = storeOn(connection.redis, {
    resendCode: 'new',
    resendWaitsMs: [0, 0, 0],
    rules: [],
    guessRules: [],
    ...overrides,
  })
  prefix = store.prefix
  return store
}

type Store = ReturnType<typeof newStore>

async function pending(store: Store) {
  const destination = freshDestination()
  const { id } = await store.start(destination)
  return { destination, id, code: await store.codeFor(id) }
}

type Begun = Awaited<ReturnType<typeof pending>>

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe.each<[string, (store: Store, begun: Begun) => ReturnType<Store['verifications']['resend']>]>([
  ['by id', (store, { id }) => store.verifications.resend(APPLICATION, id)],
  ['by starting again', (store, { destination }) => store.verifications.start(store.requestFor(destination))],
])('a resend %s', (_, resend) => {
  it('racing a check of the old code: approved and no resend, or resent and the old one wrong', async () => {
    const store = newStore()
    const seen = new Set<string>()
    for (let round = 0; round < ROUNDS; round++) {
      const begun = await pending(store)
      // A resend first asks which verification it is for: the check comes before, between or after.
      const checkLater = async () => {
        for (let trip = 0; trip < round % 4; trip++) await connection.redis.ping()
        return store.check(begun.id, begun.code)
      }
      const [resent, checked] = await Promise.all([resend(store, begun), checkLater()])
      const hash = await store.hash(begun.id)
      if (checked.kind === 'checked' && checked.verdict === 'approved') {
        seen.add('approved')
        expect(hash).toMatchObject({ status: 'approved', wrong: '0', sends: '1' })
        // By its id it has ended; by its number another begins.
        expect(['refused', 'started']).toContain(resent.kind)
        continue
      }
      seen.add('resent')
      expect(checked).toMatchObject({ verdict: 'wrong', checksLeft: 4 })
      expect(resent).toMatchObject({ kind: 'sent_again', id: begun.id })
      expect(hash).toMatchObject({ status: 'pending', wrong: '1', sends: '2' })
      expect(await store.check(begun.id, await store.codeFor(begun.id))).toMatchObject({
        verdict: 'approved',
      })
    }
    expect(seen.size, 'both orders were seen').toBe(2)
  })
})

it('of two resends at once the code of the later one is alive, as MAC and as sealed copy', async () => {
  const store = newStore({ sendLimits: [] })
  for (let round = 0; round < ROUNDS; round++) {
    const { id, destination } = await pending(store)
    await Promise.all([
      store.verifications.resend(APPLICATION, id),
      store.verifications.start(store.requestFor(destination)),
    ])
    expect(await store.hash(id)).toMatchObject({ sends: '3', '2:state': 'superseded', '3:state': 'queued' })
    expect(await store.check(id, await store.codeFor(id))).toMatchObject({ verdict: 'approved' })
  }
})

it('a claim carries the code that is alive, and a claim of an older send is closed', async () => {
  const store = newStore()
  const { id } = await pending(store)
  await store.verifications.resend(APPLICATION, id)
  const send = (number: number) => ({ application: APPLICATION, verification: id, send: number })
  expect(await store.deliveries.claim(send(1), 'one')).toEqual({ kind: 'closed', why: 'superseded' })
  const claim = await store.deliveries.claim(send(2), 'two')
  const code = claim.kind === 'claimed' ? claim.code : undefined
  expect(code).toBe(await store.codeFor(id))
  expect(await store.check(id, code as never)).toMatchObject({ verdict: 'approved' })
})
