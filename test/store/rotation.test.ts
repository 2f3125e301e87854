/**
 * CODE_KEYS and DESTINATION_KEYS rotated as example.env says: verifications opened in one round are delivered, sent
 * again, checked and approved in every round that may follow it or run beside it, and whatever is counted goes on.
 */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { createKeys } from '#store/keys.ts'
import { StoreFault } from '#store/script.ts'
import { createTagKey } from '#store/tag-key.ts'
import { freshPrefix, keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import {
  APPLICATION,
  codeOf,
  freshDestination,
  startedOf,
  storeOn,
  vaultOf,
  wrongFor,
} from '#test/fixtures/store.ts'
import type { Code } from '#verification/code.ts'
import type { Destination } from '#verification/destination.ts'
import { DEFAULT_POLICY, type Policy } from '#verification/policy.ts'
import type { MasterKey } from '#verification/sealing.ts'
import { createVault } from '#verification/vault.ts'
import { DEFAULT_PURPOSE } from '#verification/verification.ts'

const connection = useRedis()
const HOUR_MS = 3_600_000
const OURS = '+12025550199'
const oldKey: MasterKey = { id: 'k1', secret: randomBytes(32) }
const newKey: MasterKey = { id: 'k2', secret: randomBytes(32) }

/** `before` and the three rounds: the new key at the end, at the front, alone. */
const ROUNDS = {
  before: [oldKey],
  added: [oldKey, newKey],
  'moved to the front': [newKey, oldKey],
  'old one dropped': [newKey],
} as const
type Round = keyof typeof ROUNDS

/** Programs of neighbouring rounds run beside each other; and a verification outlives a round, but not the last hour. */
const MEETINGS: readonly (readonly [opened: Round, how: 'beside' | 'later', met: Round])[] = [
  ['before', 'beside', 'added'],
  ['before', 'later', 'moved to the front'],
  ['added', 'beside', 'before'],
  ['added', 'beside', 'moved to the front'],
  ['moved to the front', 'beside', 'added'],
  ['moved to the front', 'beside', 'old one dropped'],
  ['old one dropped', 'beside', 'moved to the front'],
]

let prefix = ''
afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

function programs(opened: Round, met: Round, resendCode: 'same' | 'new') {
  const vaultIn = (round: Round) => vaultOf(ROUNDS[round])
  const policy = { resendCode, resendWaitsMs: [0, 0] }
  prefix = storeOn(connection.redis).prefix
  const one = storeOn(connection.redis, policy, { prefix, vault: vaultIn(opened) })
  const other = storeOn(connection.redis, policy, { prefix, vault: vaultIn(met) })
  return { one, other }
}

type Store = ReturnType<typeof storeOn>

async function delivered(store: Store, send: Parameters<Store['deliveries']['claim']>[0]) {
  const claim = await store.deliveries.claim(send, 'token')
  if (claim.kind !== 'claimed') throw new Error(`not claimed: ${JSON.stringify(claim)}`)
  const outcome = { kind: 'accepted', messageId: 'm-1' } as const
  await store.deliveries.record(send, { token: 'token', outcome, waitMs: 0 })
  return claim
}

describe.each(['same', 'new'] as const)('with RESEND_CODE=%s', (resendCode) => {
  it.each(MEETINGS)('opened in round "%s" it goes on, %s, in round "%s"', async (opened, how, met) => {
    const { one, other } = programs(opened, met, resendCode)
    const either = how === 'beside' ? one : other
    const destination = freshDestination()
    const { id } = await one.start(destination)
    const first = { application: APPLICATION, verification: id, send: 1 }
    const letter = await delivered(other, first)
    expect(letter.destination).toBe(destination)
    expect(await other.check(id, wrongFor(letter.code))).toMatchObject({ verdict: 'wrong' })

    const again = startedOf(await other.verifications.resend(APPLICATION, id))
    const second = await delivered(either, { ...first, send: again.send })
    expect(second.code === letter.code).toBe(resendCode === 'same')
    expect(await either.check(id, wrongFor(second.code))).toMatchObject({ verdict: 'wrong' })
    expect(await other.check(id, second.code)).toMatchObject({ verdict: 'approved' })
  })
})

it('started again in the next round it is the same verification, and its wrong codes stay counted', async () => {
  const { one, other } = programs('before', 'moved to the front', 'same')
  const destination = freshDestination()
  const { id } = await one.start(destination)
  const code = await one.codeFor(id)
  await one.check(id, wrongFor(code))
  expect(await other.start(destination)).toMatchObject({ kind: 'sent_again', id, checksLeft: 4 })
})

it('a round that is left out is seen: the code is wrong, and the send is given back unsent', async () => {
  const { one, other } = programs('moved to the front', 'before', 'same')
  const { id } = await one.start(freshDestination())
  const send = { application: APPLICATION, verification: id, send: 1 }
  expect(await other.deliveries.claim(send, 'token')).toMatchObject({
    kind: 'unusable',
    reason: 'key_unknown',
  })
  expect(await other.check(id, await one.codeFor(id))).toMatchObject({ verdict: 'wrong' })
})

describe('DESTINATION_KEYS', () => {
  const POLICY = {
    resendWaitsMs: [0, 0, 0, 0],
    rules: [],
    guessRules: [],
    sendLimits: [{ name: 'send_limit', max: 3, windowMs: HOUR_MS }],
    wrongCheckLimits: [{ name: 'check_limit', max: 6, windowMs: HOUR_MS }],
    checksMax: 5,
  } satisfies Partial<Policy>

  /** A program of a round on a deployment, once it holds the tag key. */
  async function programIn(round: Round, more: Partial<Policy> = {}) {
    const keys = createKeys(prefix)
    const { redis } = connection
    const tagKey = createTagKey({ redis, keys, policy: DEFAULT_POLICY, destinationKeys: ROUNDS[round] })
    await tagKey.look()
    const vault = createVault({ codeKeys: [newKey], tags: tagKey.tags })
    return { ...storeOn(redis, { ...POLICY, ...more }, { prefix, vault }), tagKey }
  }

  async function meeting(opened: Round, met: Round, more: Partial<Policy> = {}) {
    prefix = freshPrefix()
    const [one, other] = [await programIn(opened, more), await programIn(met, more)]
    // Each seals it under its own first key whenever it looks.
    for (const { tagKey } of [one, other, one, other]) await tagKey.look()
    return { one, other, destination: freshDestination() }
  }

  const byNumber = (store: Store, destination: Destination, code: Code) =>
    store.verifications.checkDestination({
      application: APPLICATION,
      destination,
      purpose: DEFAULT_PURPOSE,
      code,
    })

  const BESIDE = MEETINGS.filter(([, how]) => how === 'beside')
  describe.each(BESIDE)('opened in round "%s", %s, met in round "%s"', (opened, _, met) => {
    it('a verification is checked by id and by number, its wrong codes together', async () => {
      const { one, other, destination } = await meeting(opened, met)
      const { id } = await one.start(destination)
      const code = await one.codeFor(id)
      expect(await byNumber(other, destination, wrongFor(code))).toMatchObject({ id, checksLeft: 4 })
      expect(await one.check(id, wrongFor(code))).toMatchObject({ verdict: 'wrong', checksLeft: 3 })
      expect(await other.check(id, wrongFor(code))).toMatchObject({ verdict: 'wrong', checksLeft: 2 })
      expect(await byNumber(other, destination, code)).toMatchObject({ id, verdict: 'approved' })
    })

    it('a number has one budget of sends, and one of wrong codes', async () => {
      const { one, other, destination } = await meeting(opened, met)
      const { id } = await one.start(destination)
      expect(await other.start(destination)).toMatchObject({ kind: 'sent_again', id })
      await one.start(destination)
      expect(await other.verifications.start(other.requestFor(destination))).toMatchObject({
        refusal: 'send_limit',
      })

      const guessed = freshDestination()
      const first = await one.start(guessed)
      const wrong = wrongFor(await one.codeFor(first.id))
      for (let checks = 0; checks < 5; checks++) await one.check(first.id, wrong)
      const second = await other.start(guessed)
      await other.check(second.id, wrongFor(await other.codeFor(second.id)))
      expect(await byNumber(other, guessed, await other.codeFor(second.id))).toMatchObject({
        refusal: 'check_limit',
      })
    })

    it('wrong codes in a row go on, and disable the number in both', async () => {
      const { one, other, destination } = await meeting(opened, met, { wrongInARowMax: 2 })
      const { id } = await one.start(destination)
      const code = await one.codeFor(id)
      await one.check(id, wrongFor(code))
      await byNumber(other, destination, wrongFor(code))
      for (const store of [one, other])
        expect(await byNumber(store, destination, code)).toMatchObject({ refusal: 'number_disabled' })
    })

    it('a STOP told to one is heeded by both, and a START told to the other lifts it', async () => {
      const { one, other, destination } = await meeting(opened, met)
      const heard = { destination, sender: OURS, agoMs: 0 }
      await one.suppressions.heed({ ...heard, keyword: 'stop', token: 'stop' })
      for (const store of [one, other])
        expect(await store.verifications.start(store.requestFor(destination))).toMatchObject({
          refusal: 'recipient_opted_out',
        })
      await other.suppressions.heed({ ...heard, keyword: 'start', token: 'start' })
      expect(await one.start(destination)).toMatchObject({ kind: 'started' })
    })

    it('a request repeated under its Idempotency-Key gets the first answer', async () => {
      const { one, other, destination } = await meeting(opened, met)
      const request = one.requestFor(destination, { idempotencyKey: 'once' })
      const started = startedOf(await one.verifications.start(request))
      expect(await other.verifications.start(request)).toEqual(started)
      const code = await one.codeFor(started.id)
      for (const store of [one, other])
        expect(await store.check(started.id, code, 'checked')).toMatchObject({ verdict: 'approved' })
      const another = { ...request, destination: freshDestination() }
      expect(await other.verifications.start(another)).toMatchObject({ refusal: 'idempotency_mismatch' })
    })
  })

  it('turned over whole, name the number as before, and the old key opens nothing any more', async () => {
    prefix = freshPrefix()
    const destination = freshDestination()
    const { id } = await (await programIn('before')).start(destination)
    for (const round of Object.keys(ROUNDS) as Round[]) {
      const program = await programIn(round)
      const code = await program.codeFor(id)
      expect(await byNumber(program, destination, wrongFor(code))).toMatchObject({ id, verdict: 'wrong' })
    }
    const last = await programIn('old one dropped')
    expect(await byNumber(last, destination, await last.codeFor(id))).toMatchObject({ verdict: 'approved' })
    const late = await programIn('before')
    expect(late.tagKey.problem()).toBe('tag_key_not_opened')
    await expect(late.start(destination)).rejects.toThrow(StoreFault)
    await expect(byNumber(late, destination, codeOf('000000'))).rejects.toThrow(StoreFault)
  })
})
