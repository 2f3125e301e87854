/** One code tried against many numbers: what the rules about guessing count, refuse and say. On a real Redis. */
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import type { Rule } from '#verification/gate.ts'
import type { Policy } from '#verification/policy.ts'
import type { Application } from '#verification/verification.ts'

const connection = useRedis()
const HOUR_MS = 3_600_000
let prefix = ''

function guessRule(scope: Rule['scope'], max: number, mode: Rule['mode'] = 'block'): Rule {
  return { name: `${scope}_wrong`, scope, counts: 'wrong_checks', windowMs: HOUR_MS, max, mode }
}

function newStore(...guessRules: Rule[]) {
  return storeWith({ guessRules })
}

function storeWith(policy: Partial<Policy>) {
  const store = storeOn(connection.redis, policy)
  prefix = store.prefix
  /** A wrong code, or the right one, for a number that nobody tried before. */
  async function tryNumber(
    right: boolean,
    { clientIp, application = APPLICATION }: { clientIp?: string; application?: Application } = {},
  ) {
    const { id } = await store.start(freshDestination(), { application })
    const code = await codeFor(application, id)
    return store.verifications.check({
      application,
      id,
      code: right ? code : wrongFor(code),
      ...(clientIp === undefined ? {} : { clientIp }),
    })
  }
  async function codeFor(application: Application, id: Awaited<ReturnType<typeof store.start>>['id']) {
    const sealed = await connection.redis.hget(store.keys.verification(application, id), 'sealed')
    const letter = store.vault.open(sealed ?? '', { application, id })
    if (!letter) throw new Error('Not sealed')
    return letter.code
  }
  return {
    ...store,
    wrong: (who?: { clientIp?: string; application?: Application }) => tryNumber(false, who),
    right: (who?: { clientIp?: string; application?: Application }) => tryNumber(true, who),
  }
}

const SOMEBODY = { clientIp: '203.0.113.7' }
const refusal = (limit: string) => ({ kind: 'refused', refusal: 'guess_limit', limit })

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('wrong codes against many numbers', () => {
  it.each([2, 3, 4])('from one address, number %i: it takes three', async (count) => {
    const store = newStore(guessRule('ip', 3))
    const results = []
    for (let check = 1; check <= count; check++) results.push(await store.wrong(SOMEBODY))
    expect(results.slice(0, 3).map(({ kind }) => kind)).toEqual(Array(Math.min(count, 3)).fill('checked'))
    if (count > 3) expect(results[3]).toMatchObject(refusal('ip_wrong'))
  })

  it('refuse the next code, right or wrong, compare nothing, and say until when', async () => {
    const store = newStore(guessRule('ip', 1))
    await store.wrong(SOMEBODY)
    const { id } = await store.start(freshDestination())
    const code = await store.codeFor(id)
    const before = await store.hash(id)
    const refused = await store.verifications.check({ application: APPLICATION, id, code, ...SOMEBODY })
    expect(refused).toMatchObject(refusal('ip_wrong'))
    const waitMs = (refused.kind === 'refused' && refused.retryAfterMs) || 0
    expect(waitMs).toBeGreaterThan(HOUR_MS - 1_000)
    expect(waitMs).toBeLessThanOrEqual((HOUR_MS * 13) / 12)
    expect(await store.hash(id)).toEqual(before)
    expect(await store.check(id, code)).toMatchObject({ verdict: 'approved' })
  })

  it('from one IPv6 line count as one address, from its neighbour as another', async () => {
    const store = newStore(guessRule('ip', 1))
    await store.wrong({ clientIp: '2001:db8:1:2::1' })
    expect(await store.wrong({ clientIp: '2001:db8:1:2:ffff::9' })).toMatchObject(refusal('ip_wrong'))
    expect(await store.wrong({ clientIp: '2001:db8:1:3::1' })).toMatchObject({ verdict: 'wrong' })
  })

  it('without an address count for the application only, and leave another application alone', async () => {
    const store = newStore(guessRule('ip', 1), guessRule('application', 2))
    await store.wrong()
    await store.wrong()
    expect(await store.wrong()).toMatchObject(refusal('application_wrong'))
    const bank = { application: 'bank' as Application }
    expect(await store.right(bank)).toMatchObject({ verdict: 'approved' })
  })

  it('of all applications together count overall', async () => {
    const store = newStore(guessRule('overall', 2))
    await store.wrong({ application: 'bank' as Application })
    await store.wrong()
    expect(await store.right({ application: 'club' as Application })).toMatchObject(refusal('overall_wrong'))
  })

  it('are taken exactly to the limit when a hundred come at once', async () => {
    const store = storeWith({ rules: [], guessRules: [guessRule('application', 10)] })
    const begun = await Promise.all(Array.from({ length: 100 }, () => store.start(freshDestination())))
    const guesses = await Promise.all(
      begun.map(async ({ id }) => ({ id, code: wrongFor(await store.codeFor(id)) })),
    )
    const results = await Promise.all(guesses.map(({ id, code }) => store.check(id, code)))
    expect(results.filter(({ kind }) => kind === 'checked')).toHaveLength(10)
  })
})

describe('a right code', () => {
  it('is not counted, and writes nothing about who typed it', async () => {
    const store = newStore(guessRule('ip', 1), guessRule('application', 1), guessRule('overall', 1))
    for (let check = 1; check <= 3; check++)
      expect(await store.right(SOMEBODY)).toMatchObject({ verdict: 'approved', explain: '' })
    const scopes = [store.keys.scope('application', APPLICATION), store.keys.scope('overall', 'all')]
    const fields = await Promise.all(scopes.map((key) => connection.redis.hkeys(key)))
    expect(fields.flat().filter((field) => field.startsWith('wrong_checks'))).toEqual([])
    expect(await connection.redis.keys(`${store.keys.scope('ip', '')}*`)).toEqual([])
  })
})

describe('a rule about guessing', () => {
  it('that observes says so with every check it would have refused, and refuses none', async () => {
    const store = newStore(guessRule('ip', 1, 'observe'))
    expect(await store.wrong(SOMEBODY)).toMatchObject({ verdict: 'wrong', explain: '' })
    expect(await store.wrong(SOMEBODY)).toMatchObject({ verdict: 'wrong', explain: 'ip_wrong=observe' })
    expect(await store.right(SOMEBODY)).toMatchObject({ verdict: 'approved', explain: 'ip_wrong=observe' })
  })

  it('raises one alarm at four fifths, with a wrong code and not with a right one', async () => {
    const store = newStore(guessRule('application', 5))
    const said: string[] = []
    const note = (checked: object) => said.push('explain' in checked ? String(checked.explain) : 'refused')
    for (let check = 1; check <= 3; check++) note(await store.wrong())
    note(await store.right())
    for (let check = 4; check <= 6; check++) note(await store.wrong())
    expect(said).toEqual(['', '', '', '', 'application_wrong=alarm', '', 'refused'])
  })

  it('does not shorten the life of what the gate counts in the same hash', async () => {
    const store = newStore(guessRule('application', 5))
    await store.start(freshDestination())
    const key = store.keys.scope('application', APPLICATION)
    const before = await connection.redis.pttl(key)
    await store.wrong()
    expect(before).toBeGreaterThan(24 * HOUR_MS)
    expect(await connection.redis.pttl(key)).toBeGreaterThan(24 * HOUR_MS)
  })
})
