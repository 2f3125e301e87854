/**
 * CODE_KEYS rotated as example.env says: verifications opened in one round are delivered, sent again, checked and
 * approved in every round that may follow it or run beside it.
 */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, startedOf, storeOn, wrongFor } from '#test/fixtures/store.ts'
import { createVault, type MasterKey } from '#verification/vault.ts'

const connection = useRedis()
const oldKey: MasterKey = { id: 'k1', secret: randomBytes(32) }
const newKey: MasterKey = { id: 'k2', secret: randomBytes(32) }
const destinationKey = randomBytes(32)

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
  const vaultOf = (round: Round) => createVault({ codeKeys: ROUNDS[round], destinationKey })
  const policy = { resendCode, resendWaitsMs: [0, 0] }
  prefix = storeOn(connection.redis).prefix
  const one = storeOn(connection.redis, policy, { prefix, vault: vaultOf(opened) })
  const other = storeOn(connection.redis, policy, { prefix, vault: vaultOf(met) })
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
