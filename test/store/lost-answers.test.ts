/** Answers that never arrive: what was decided stands, and the same Idempotency-Key says it again. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoreFault } from '#store/script.ts'
import { openLossyRedis } from '#test/fixtures/lossy-redis.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { DEFAULT_PURPOSE } from '#verification/verification.ts'

const connection = useRedis()
let lossy: Awaited<ReturnType<typeof openLossyRedis>>
beforeEach(async () => {
  lossy = await openLossyRedis()
})
afterEach(() => lossy.close())

/** A process whose answers get lost, and one beside it that sees what is true. */
async function stores() {
  const store = storeOn(lossy.redis)
  const witness = storeOn(connection.redis, {}, { prefix: store.prefix, vault: store.vault })
  // So that Redis knows every script: an answer that says it does not would be the one that is lost.
  const other = await store.start(freshDestination(), { idempotencyKey: 'other' })
  await store.check(other.id, await store.codeFor(other.id), 'other')
  return { store, witness }
}

async function lose(call: () => Promise<unknown>): Promise<void> {
  const before = lossy.lost()
  lossy.loseNextAnswer()
  await expect(call()).rejects.toThrow(StoreFault)
  expect(lossy.lost()).toBe(before + 1)
  await lossy.ready()
}

describe.each(['by id', 'by number'])('a check %s whose answer was lost', (how) => {
  async function pending() {
    const { store, witness } = await stores()
    const destination = freshDestination()
    const { id } = await store.start(destination)
    const code = await store.codeFor(id)
    const shared = { application: APPLICATION, idempotencyKey: 'login' }
    const check = (typed: typeof code) =>
      how === 'by id'
        ? store.verifications.check({ ...shared, id, code: typed })
        : store.verifications.checkDestination({
            ...shared,
            destination,
            purpose: DEFAULT_PURPOSE,
            code: typed,
          })
    return { witness, id, code, check }
  }

  it('says approved again to its key, and was approved once', async () => {
    const { witness, id, code, check } = await pending()
    await lose(() => check(code))
    expect(await witness.hash(id)).toMatchObject({ status: 'approved' })
    expect(await check(code)).toMatchObject({ verdict: 'approved', id })
    expect(await witness.check(id, code)).toMatchObject({ verdict: 'already_used' })
  })

  it('says wrong again to its key, and was counted once', async () => {
    const { witness, id, code, check } = await pending()
    await lose(() => check(wrongFor(code)))
    expect(await witness.hash(id)).toMatchObject({ wrong: '1' })
    expect(await check(wrongFor(code))).toMatchObject({ verdict: 'wrong', checksLeft: 4 })
    expect(await witness.hash(id)).toMatchObject({ wrong: '1' })
  })

  it('takes no other code with its key', async () => {
    const { witness, id, code, check } = await pending()
    await lose(() => check(wrongFor(code)))
    expect(await check(code)).toMatchObject({ refusal: 'idempotency_mismatch' })
    expect(await witness.hash(id)).toMatchObject({ status: 'pending', wrong: '1' })
  })
})

it('a start whose answer was lost is the same verification and one send to its key', async () => {
  const { store, witness } = await stores()
  const request = store.requestFor(freshDestination(), { idempotencyKey: 'order' })
  await lose(() => store.verifications.start(request))
  const again = await store.verifications.start(request)
  if (again.kind === 'refused') throw new Error(again.refusal)
  expect(again).toMatchObject({ kind: 'started', send: 1 })
  expect(await witness.hash(again.id)).toMatchObject({ sends: '1' })
})
