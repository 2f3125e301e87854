/** docs/states.md against the scripts: what they do is drawn, and what is drawn they do. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { clockedStoreOn, NUMBER, senderAt } from '#test/fixtures/clock.ts'
import { drawn, EVERY_MOVE, listed, observeMoves } from '#test/fixtures/moves.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, wrongFor } from '#test/fixtures/store.ts'
import { DEFAULT_POLICY } from '#verification/policy.ts'
import type { SendReference } from '#verification/verification.ts'

const connection = useRedis()
const VERIFICATION = drawn('A verification')
const SEND = drawn('A send in the ledger')

/** One store for all histories: its scripts are loaded once. */
async function openStore() {
  const store = await clockedStoreOn(connection.redis, {
    senders: [senderAt(100_000)],
    policy: {
      events: EVERY_MOVE,
      sendLimits: [{ name: 'many', max: 1_000, windowMs: 86_400_000 }],
      resendWaitsMs: [0, 0, 0],
      receiptWaitMs: 0,
      sweepAfterMs: 0,
    },
  })
  return { store, moves: observeMoves(connection.redis, store.keys) }
}
let opened: Awaited<ReturnType<typeof openStore>> | undefined
beforeAll(async () => {
  opened = await openStore()
})

/** A verification that has begun, and what may happen to it, one call of the store each. */
async function begin({ held = false } = {}) {
  if (!opened) throw new Error('Not opened yet')
  const { store, moves } = opened
  const destination = freshDestination()
  const { id } = await store.start(destination, held ? { held: 'number_denied' } : {})
  const code = await store.codeFor(id)
  const first: SendReference = { application: APPLICATION, verification: id, send: 1 }
  const newest = async () => ({ ...first, send: Number((await store.hash(id)).sends) })
  let inHand: { send: SendReference; token: string } | undefined
  let tokens = 0

  async function claim() {
    const [send, token] = [await newest(), `t${++tokens}`]
    if ((await store.deliveries.claim(send, token)).kind === 'claimed') inHand = { send, token }
  }
  const record = (outcome: Parameters<typeof store.deliveries.record>[1]['outcome']) => async () => {
    if (inHand) await store.deliveries.record(inHand.send, { token: inHand.token, outcome, waitMs: 0 })
  }
  const receipt = (state: 'sent' | 'delivered' | 'undelivered' | 'failed') => async () =>
    void (await store.deliveries.takeReceipt(inHand?.send ?? first, { messageId: 'm', state }))
  const heed = (keyword: 'stop' | 'start') => () =>
    store.suppressions.heed({ keyword, destination, sender: NUMBER, agoMs: 0, token: `k${++tokens}` })

  const steps = {
    right: () => store.check(id, code),
    wrong: () => store.check(id, wrongFor(code)),
    cancel: () => store.verifications.cancel(APPLICATION, id),
    erase: () => store.destinations.erase(APPLICATION, destination),
    resend: () => store.verifications.resend(APPLICATION, id),
    again: () => store.verifications.start(store.requestFor(destination)),
    claim,
    accepted: record({ kind: 'accepted', messageId: 'm' }),
    found: record({ kind: 'found', messageId: 'm' }),
    unknown: record({ kind: 'unknown', reason: 'timeout' }),
    busy: record({ kind: 'busy', reason: 'not_connected' }),
    rejected: record({ kind: 'rejected', reason: 'not_reachable' }),
    withheld: record({ kind: 'withheld', reason: 'number_denied' }),
    sent: receipt('sent'),
    delivered: receipt('delivered'),
    undelivered: receipt('undelivered'),
    failed: receipt('failed'),
    stop: heed('stop'),
    start: heed('start'),
    sweep: () => store.deliveries.sweep(APPLICATION, 1_000),
    lease: () => store.passTime(DEFAULT_POLICY.leaseMs),
    minute: () => store.passTime(60_000),
    late: () => store.passTime(DEFAULT_POLICY.codeTtlMs - DEFAULT_POLICY.sendReserveMs),
    end: () => store.passTime(DEFAULT_POLICY.codeTtlMs),
  }
  return { steps, moves }
}

type Step = keyof Awaited<ReturnType<typeof begin>>['steps']

/** All moves of a history, its beginning included. */
async function movesOf(history: readonly Step[], options: { held?: boolean } = {}): Promise<string[]> {
  const { steps, moves } = await begin(options)
  const seen = await moves.look()
  for (const step of history) {
    await steps[step]()
    seen.push(...(await moves.look()))
  }
  return seen
}

const STEPS: readonly Step[] = [
  ...([
    'right',
    'wrong',
    'cancel',
    'erase',
    'resend',
    'again',
    'claim',
    'accepted',
    'found',
    'unknown',
  ] as const),
  ...([
    'busy',
    'rejected',
    'withheld',
    'sent',
    'delivered',
    'undelivered',
    'failed',
    'stop',
    'start',
  ] as const),
  ...(['sweep', 'lease', 'minute', 'late', 'end'] as const),
]

it('whatever happens, nothing moves but along an arrow of docs/states.md', async () => {
  const arrows = new Set([...VERIFICATION, ...SEND])
  // What is begun is worth claiming, else most histories would be about nothing.
  const step = fc.oneof(
    { weight: 2, arbitrary: fc.constant<Step>('claim') },
    { weight: 5, arbitrary: fc.constantFrom(...STEPS) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.boolean(), async (history, held) => {
      const seen = await movesOf(history, { held })
      expect(seen.filter((move) => !arrows.has(move))).toEqual([])
    }),
    { numRuns: 150 },
  )
})

/** For every arrow the shortest way along it. */
const WAYS: Readonly<Record<string, readonly Step[]>> = {
  '[*] -> pending': [],
  'pending -> approved': ['right'],
  'pending -> exhausted': ['wrong', 'wrong', 'wrong', 'wrong', 'wrong'],
  'pending -> canceled': ['cancel'],
  'pending -> expired': ['end', 'sweep'],
  '[*] -> queued': [],
  '[*] -> suppressed': [],
  'queued -> submitting': ['claim'],
  'unknown -> submitting': ['claim', 'unknown', 'claim'],
  'submitting -> accepted': ['claim', 'accepted'],
  'submitting -> rejected': ['claim', 'rejected'],
  'submitting -> queued': ['claim', 'busy'],
  'submitting -> unknown': ['claim', 'unknown'],
  'submitting -> expired': ['claim', 'late', 'busy'],
  'submitting -> canceled': ['claim', 'cancel', 'busy'],
  'submitting -> superseded': ['claim', 'resend', 'busy'],
  'submitting -> suppressed': ['claim', 'withheld'],
  'submitting -> delivered': ['claim', 'delivered'],
  'submitting -> undelivered': ['claim', 'undelivered'],
  'submitting -> failed': ['claim', 'failed'],
  'queued -> expired': ['late', 'claim'],
  'queued -> canceled': ['right'],
  'queued -> superseded': ['resend'],
  'queued -> suppressed': ['stop', 'claim'],
  'queued -> accepted': ['sent'],
  'queued -> delivered': ['delivered'],
  'queued -> undelivered': ['undelivered'],
  'queued -> failed': ['failed'],
  'unknown -> accepted': ['claim', 'unknown', 'sent'],
  'unknown -> queued': ['claim', 'lease', 'sweep', 'busy'],
  'unknown -> rejected': ['claim', 'lease', 'sweep', 'rejected'],
  'unknown -> expired': ['claim', 'lease', 'sweep', 'late', 'busy'],
  'unknown -> canceled': ['claim', 'lease', 'sweep', 'cancel', 'busy'],
  'unknown -> superseded': ['claim', 'lease', 'sweep', 'resend', 'busy'],
  'unknown -> suppressed': ['claim', 'lease', 'sweep', 'withheld'],
  'unknown -> delivered': ['claim', 'unknown', 'delivered'],
  'unknown -> undelivered': ['claim', 'unknown', 'undelivered'],
  'unknown -> failed': ['claim', 'unknown', 'failed'],
  'accepted -> delivered': ['claim', 'accepted', 'delivered'],
  'accepted -> undelivered': ['claim', 'accepted', 'undelivered'],
  'accepted -> failed': ['claim', 'accepted', 'failed'],
  'undelivered -> delivered': ['undelivered', 'delivered'],
  'failed -> delivered': ['failed', 'delivered'],
}

describe('the arrow', () => {
  it.each([...VERIFICATION, ...SEND])('%s is a way that is gone', async (arrow) => {
    const way = WAYS[arrow]
    if (!way) throw new Error('a way that nobody knows')
    expect(await movesOf(way, { held: arrow === '[*] -> suppressed' })).toContain(arrow)
  })
})

it.each([
  ['another reason to end', ['late', 'again'], ['pending -> canceled', 'queued -> superseded']],
  ['an erased number', ['erase'], ['pending -> canceled', 'queued -> canceled']],
  ['a lost worker', ['claim', 'lease', 'claim'], ['submitting -> unknown', 'unknown -> submitting']],
  [
    'a lost worker whose verification has ended',
    ['claim', 'right', 'lease', 'sweep'],
    ['submitting -> unknown'],
  ],
  ['an acceptance that comes late', ['claim', 'lease', 'end', 'sweep', 'accepted'], ['unknown -> accepted']],
  ['a message that was found', ['claim', 'unknown', 'claim', 'found'], ['submitting -> accepted']],
  ['a busy attempt of an ended verification', ['claim', 'end', 'sweep', 'busy'], ['pending -> expired']],
] satisfies [string, Step[], string[]][])('%s goes along the arrows too', async (_, history, moves) => {
  expect(await movesOf(history)).toEqual(expect.arrayContaining(moves))
})

it.each([
  ['A verification', VERIFICATION],
  ['A send in the ledger', SEND],
])('%s: the table lists what the diagram draws', (heading, arrows) => {
  expect(arrows.length).toBeGreaterThan(4)
  expect(listed(heading).sort()).toEqual([...arrows].sort())
})
