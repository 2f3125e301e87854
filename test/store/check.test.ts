/** What a check promises: approved once, wrong codes counted, nothing brought back. On a real Redis. */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import {
  APPLICATION,
  codeOf,
  freshDestination,
  rotatedVault,
  storeOn,
  wrongFor,
} from '#test/fixtures/store.ts'
import type { Application, Purpose } from '#verification/verification.ts'

const connection = useRedis()
let prefix = ''

function newStore(overrides = {}) {
  const store = storeOn(connection.redis, overrides)
  prefix = store.prefix
  return store
}

async function pending(overrides = {}) {
  const store = newStore(overrides)
  const destination = freshDestination()
  const { id } = await store.start(destination)
  const code = await store.codeFor(id)
  return { store, destination, id, code, wrong: wrongFor(code) }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('the right code', () => {
  it('is approved once, then already used', async () => {
    const { store, id, code } = await pending()
    expect(await store.check(id, code)).toEqual({
      kind: 'checked',
      id,
      verdict: 'approved',
      checksLeft: 0,
      explain: '',
    })
    expect(await store.check(id, code)).toMatchObject({ verdict: 'already_used' })
  })

  it('is approved only once when a hundred check it at the same time', async () => {
    const { store, id, code } = await pending()
    const results = await Promise.all(Array.from({ length: 100 }, () => store.check(id, code)))
    const verdicts = results.map((result) => (result.kind === 'checked' ? result.verdict : result.refusal))
    expect(verdicts.filter((verdict) => verdict === 'approved')).toHaveLength(1)
    expect(verdicts.filter((verdict) => verdict === 'already_used')).toHaveLength(99)
  })

  it('erases the sealed number and code, and closes the send that was still waiting', async () => {
    const { store, id, code } = await pending()
    await store.check(id, code)
    const hash = await store.hash(id)
    expect(hash).not.toHaveProperty('sealed')
    expect(hash).toMatchObject({ status: 'approved', '1:state': 'canceled', '1:reason': 'approved' })
    expect(await connection.redis.zscore(store.keys.agenda(APPLICATION), id)).toBeNull()
  })

  it('is approved by number as well as by id', async () => {
    const { store, destination, id, code } = await pending()
    const purpose = 'default' as Purpose
    const checked = await store.verifications.checkDestination({
      application: APPLICATION,
      destination,
      purpose,
      code,
    })
    expect(checked).toMatchObject({ verdict: 'approved', id })
  })

  it.each([
    ['of another purpose', { purpose: 'payment' as Purpose }],
    ['of another application', { application: 'bank' as Application }],
  ])('is nothing for a verification %s', async (_, other) => {
    const { store, destination, code } = await pending()
    const theirs = await store.start(destination, other)
    const application = 'application' in other ? other.application : APPLICATION
    const checked = await store.verifications.check({ application, id: theirs.id, code })
    const same = 'application' in other ? undefined : await store.codeFor(theirs.id)
    if (same !== code) expect(checked).toMatchObject({ verdict: 'wrong' })
  })

  it('started by another process is approved as well', async () => {
    const { store, id, code } = await pending()
    const other = storeOn(connection.redis, {}, { prefix: store.prefix, vault: store.vault })
    expect(await other.check(id, code)).toMatchObject({ verdict: 'approved' })
    expect(await store.check(id, code)).toMatchObject({ verdict: 'already_used' })
  })

  it('made under a key that is being rotated out is still approved, and a wrong one still wrong', async () => {
    const { store, id, code, wrong } = await pending()
    const rotated = storeOn(connection.redis, {}, { prefix: store.prefix, vault: rotatedVault })
    expect(await rotated.check(id, wrong)).toMatchObject({ verdict: 'wrong' })
    expect(await rotated.check(id, code)).toMatchObject({ verdict: 'approved' })
  })
})

describe('a wrong code', () => {
  it('counts down and exhausts the verification with the fifth', async () => {
    const { store, id, code, wrong } = await pending()
    for (const checksLeft of [4, 3, 2, 1, 0]) {
      expect(await store.check(id, wrong)).toMatchObject({
        kind: 'checked',
        id,
        verdict: 'wrong',
        checksLeft,
      })
    }
    expect(await store.check(id, code)).toMatchObject({ verdict: 'exhausted', checksLeft: 0 })
    expect(await store.hash(id)).toMatchObject({ status: 'exhausted' })
  })

  it('is judged five times and no more when a thousand are tried at the same time', async () => {
    const { store, id, wrong } = await pending()
    const results = await Promise.all(Array.from({ length: 1000 }, () => store.check(id, wrong)))
    const verdicts = results.map((result) => (result.kind === 'checked' ? result.verdict : result.refusal))
    expect(verdicts.filter((verdict) => verdict === 'wrong')).toHaveLength(5)
    expect(verdicts.filter((verdict) => verdict === 'exhausted')).toHaveLength(995)
  })

  it.each([9, 10, 11])(
    'number %i within the hour: the number takes ten, over all its verifications',
    async (count) => {
      const { store, destination, id: first } = await pending({ checksMax: 3, sendLimits: [] })
      let id = first
      const results: string[] = []
      for (let check = 1; check <= count; check++) {
        if (check % 3 === 1 && check > 1) {
          const next = await store.verifications.start(store.requestFor(destination))
          if (next.kind === 'started') id = next.id
        }
        const wrong = (await store.hash(id)).sealed ? wrongFor(await store.codeFor(id)) : codeOf('000000')
        const result = await store.check(id, wrong)
        results.push(result.kind === 'checked' ? result.verdict : result.refusal)
      }
      expect(results.filter((verdict) => verdict === 'wrong')).toHaveLength(Math.min(count, 10))
      if (count > 10) expect(results.at(-1)).toBe('check_limit')
    },
  )

  it('past the budget of the number makes even the right code say nothing, and says until when', async () => {
    const { store, id, code, wrong } = await pending({
      wrongCheckLimits: [{ name: 'test', max: 2, windowMs: 60_000 }],
    })
    await store.check(id, wrong)
    await store.check(id, wrong)
    const refused = await store.check(id, code)
    expect(refused).toMatchObject({ kind: 'refused', refusal: 'check_limit' })
    expect((refused.kind === 'refused' && refused.retryAfterMs) || 0).toBeGreaterThan(58_000)
    expect(await store.hash(id)).toMatchObject({ status: 'pending', wrong: '2' })
  })

  it('is forgotten when its window has passed', async () => {
    const { store, id, code, wrong } = await pending({
      wrongCheckLimits: [{ name: 'test', max: 1, windowMs: 50 }],
    })
    await store.check(id, wrong)
    await expect.poll(() => store.check(id, code), { interval: 20 }).toMatchObject({ verdict: 'approved' })
  })

  it('does not spend the budget of another number', async () => {
    const { store, id, wrong } = await pending({
      wrongCheckLimits: [{ name: 'test', max: 1, windowMs: 60_000 }],
    })
    await store.check(id, wrong)
    const other = await store.start(freshDestination())
    expect(await store.check(other.id, await store.codeFor(other.id))).toMatchObject({ verdict: 'approved' })
  })
})

describe('a check', () => {
  it('after the code has expired says so, writes the end down and counts nothing', async () => {
    const { store, id, code, wrong } = await pending({ codeTtlMs: 1, sendReserveMs: 0 })
    await expect.poll(() => store.check(id, code)).toMatchObject({ verdict: 'expired' })
    expect(await store.check(id, wrong)).toMatchObject({ verdict: 'expired' })
    const hash = await store.hash(id)
    expect(hash).toMatchObject({ status: 'expired', wrong: '0', '1:state': 'expired' })
    expect(hash).not.toHaveProperty('sealed')
  })

  it('of a canceled verification says canceled', async () => {
    const { store, id, code } = await pending()
    expect(await store.verifications.cancel(APPLICATION, id)).toEqual({ kind: 'canceled' })
    expect(await store.check(id, code)).toMatchObject({ verdict: 'canceled' })
  })

  it('of nothing is refused and creates nothing', async () => {
    const store = newStore()
    const id = '00000000000000000000000000000000' as never
    expect(await store.check(id, codeOf('123456'))).toMatchObject({ refusal: 'unknown_verification' })
    expect(await connection.redis.keys(`{${store.prefix}}:*`)).toEqual([])
  })

  it('of a verification that is already gone brings nothing back', async () => {
    const { store, id, wrong } = await pending()
    await connection.redis.del(store.keys.verification(APPLICATION, id))
    await store.check(id, wrong)
    expect(await store.hash(id)).toEqual({})
  })
})

describe('an Idempotency-Key on a check', () => {
  it('replays the verdict of an approval whose answer was lost', async () => {
    const { store, id, code } = await pending()
    const first = await store.check(id, code, 'login-1')
    expect(first).toMatchObject({ verdict: 'approved' })
    expect(await store.check(id, code, 'login-1')).toEqual(first)
    expect(await store.check(id, code, 'login-2')).toMatchObject({ verdict: 'already_used' })
  })

  it('counts a wrong code once however often it is repeated', async () => {
    const { store, id, wrong } = await pending()
    for (let time = 1; time <= 3; time++) {
      expect(await store.check(id, wrong, 'login-3')).toMatchObject({ verdict: 'wrong', checksLeft: 4 })
    }
    expect((await store.hash(id)).wrong).toBe('1')
  })

  it.each(['another is pending', 'nothing is left of it'])(
    'replays an approval by number when %s',
    async (fate) => {
      const { store, destination, id, code } = await pending()
      const request = {
        application: APPLICATION,
        destination,
        purpose: 'default' as Purpose,
        code,
        idempotencyKey: 'k',
      }
      const first = await store.verifications.checkDestination(request)
      expect(first).toMatchObject({ verdict: 'approved', id })
      if (fate === 'another is pending') await store.start(destination)
      else await connection.redis.del(store.keys.verification(APPLICATION, id))
      expect(await store.verifications.checkDestination(request)).toEqual(first)
    },
  )

  it('replays an approval by id when nothing is left of the verification', async () => {
    const { store, id, code } = await pending()
    const first = await store.check(id, code, 'late')
    await connection.redis.del(store.keys.verification(APPLICATION, id))
    const other = storeOn(connection.redis, {}, { prefix: store.prefix, vault: store.vault })
    expect(await other.check(id, code, 'late')).toEqual(first)
    expect(await other.check(id, wrongFor(code), 'late')).toMatchObject({ refusal: 'idempotency_mismatch' })
  })

  it.each(['right', 'wrong'])(
    'gives a hundred at once one verdict of the %s code, counted once',
    async (which) => {
      const { store, id, code, wrong } = await pending()
      const typed = which === 'right' ? code : wrong
      const results = await Promise.all(Array.from({ length: 100 }, () => store.check(id, typed, 'at once')))
      const verdict =
        which === 'right' ? { verdict: 'approved', checksLeft: 0 } : { verdict: 'wrong', checksLeft: 4 }
      for (const result of results) expect(result).toEqual({ kind: 'checked', id, explain: '', ...verdict })
      expect((await store.hash(id)).wrong).toBe(which === 'right' ? '0' : '1')
    },
  )

  it('that a hundred send with two codes at once belongs to the first, and refuses the other', async () => {
    const { store, id, code, wrong } = await pending()
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, index) => store.check(id, index % 2 === 0 ? wrong : code, 'at once')),
    )
    const said = (index: number) => {
      const result = results[index]
      return result?.kind === 'checked' ? result.verdict : result?.refusal
    }
    const first = said(0) === 'wrong' ? 0 : 1
    for (let index = 0; index < 100; index++) {
      const expected = first === 0 ? 'wrong' : 'approved'
      expect(said(index)).toBe(index % 2 === first ? expected : 'idempotency_mismatch')
    }
  })

  it('is remembered for a day', async () => {
    const { store, id, wrong } = await pending()
    await store.check(id, wrong, 'k')
    const [key = ''] = await connection.redis.keys(`{${store.prefix}}:${APPLICATION}:i:*`)
    const ttl = await connection.redis.pttl(key)
    expect(ttl).toBeGreaterThan(86_400_000 - 5_000)
    expect(ttl).toBeLessThanOrEqual(86_400_000)
  })

  it('with another code is refused and counts nothing', async () => {
    const { store, id, code, wrong } = await pending()
    await store.check(id, wrong, 'login-4')
    expect(await store.check(id, code, 'login-4')).toMatchObject({ refusal: 'idempotency_mismatch' })
  })
})

describe('a cancellation', () => {
  it('of one that was approved is refused, of one canceled before is the same again', async () => {
    const { store, id, code } = await pending()
    await store.check(id, code)
    expect(await store.verifications.cancel(APPLICATION, id)).toMatchObject({ refusal: 'verification_ended' })
    const other = await store.start(freshDestination())
    await store.verifications.cancel(APPLICATION, other.id)
    expect(await store.verifications.cancel(APPLICATION, other.id)).toEqual({ kind: 'canceled' })
  })

  it('racing the right code leaves one winner', async () => {
    for (let round = 0; round < 20; round++) {
      const { store, id, code } = await pending()
      const [checked, canceled] = await Promise.all([
        store.check(id, code),
        store.verifications.cancel(APPLICATION, id),
      ])
      const approved = checked.kind === 'checked' && checked.verdict === 'approved'
      expect(canceled.kind === 'canceled').toBe(!approved)
    }
  })
})
