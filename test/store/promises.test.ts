/**
 * The promises against a model: random histories of one number, over several purposes, payments and processes. One after
 * the other every answer is foretold; all at once the budgets hold and every count is right.
 */
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connectForRequests } from '#runtime/redis.ts'
import { keysWithoutTtl, silentLog, testRedisUrl } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import type { Code } from '#verification/code.ts'
import { type Context, parseContext } from '#verification/context.ts'
import type { Rule } from '#verification/gate.ts'
import type { Policy } from '#verification/policy.ts'
import type { Purpose, VerificationId } from '#verification/verification.ts'

const DAY_MS = 86_400_000
const PROCESSES = 3
/** A history that fails is played many times over, to make it short. */
const LONGEST_MS = 60_000
/** Sends one verification has, wrong codes it takes; small, so that a short history reaches every limit. */
const EACH = { sends: 3, wrong: 2 } as const

type Limits = { sends: number; wrong: number; row: number; guesses: number }
/** Any of them may be the first that is reached. */
const limits = fc.record({
  sends: fc.integer({ min: 3, max: 25 }),
  wrong: fc.integer({ min: 1, max: 12 }),
  row: fc.integer({ min: 1, max: 5 }),
  guesses: fc.integer({ min: 1, max: 12 }),
})

const guessRule = (max: number): Rule => ({
  name: 'application_wrong',
  scope: 'application',
  counts: 'wrong_checks',
  windowMs: DAY_MS,
  max,
  mode: 'block',
})

const policyWith = (
  resendCode: Policy['resendCode'],
  { sends, wrong, row, guesses }: Limits,
): Partial<Policy> => ({
  resendCode,
  resendWaitsMs: Array<number>(EACH.sends - 1).fill(0),
  checksMax: EACH.wrong,
  sendLimits: [{ name: 'sends', max: sends, windowMs: DAY_MS }],
  wrongCheckLimits: [{ name: 'wrong', max: wrong, windowMs: DAY_MS }],
  wrongInARowMax: row,
  rules: [],
  guessRules: [guessRule(guesses)],
})

const [LOGIN, PAYMENT] = ['login', 'payment'] as [Purpose, Purpose]
const PURPOSES = [LOGIN, PAYMENT]
const PAYMENTS = [undefined, parseContext({ amount: '1', currency: 'EUR', payee: 'Shop' })]

const who = { process: fc.nat(PROCESSES - 1), purpose: fc.constantFrom(LOGIN, LOGIN, LOGIN, PAYMENT) }
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('start'), ...who, payment: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resend'), ...who }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('check'),
      ...who,
      code: fc.constantFrom('right', 'right', 'wrong', 'wrong', 'first'),
      payment: fc.constantFrom('own', 'own', 'own', 'other'),
      by: fc.constantFrom('id', 'number'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cancel', 'expire'), ...who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('rebind', 'rebind', 'erase'), ...who }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type CheckStep = Extract<Step, { by: string }>

/** A verification as it should be. `codes`: the one alive last. */
type Modelled = {
  id: VerificationId
  status: 'pending' | 'approved' | 'canceled' | 'expired' | 'exhausted'
  payment: number
  codes: Code[]
  wrong: number
  sends: number
}
type Model = {
  newest: Map<Purpose, Modelled>
  every: Modelled[]
  sends: number
  wrong: number
  row: number
  guesses: number
  limits: Limits
}

const newModel = (limits: Limits): Model => ({
  newest: new Map(),
  every: [],
  sends: 0,
  wrong: 0,
  row: 0,
  guesses: 0,
  limits,
})

let connections: Redis[] = []
beforeAll(async () => {
  connections = Array.from({ length: PROCESSES }, () => connectForRequests(testRedisUrl(), silentLog))
  await Promise.all(connections.map((redis) => new Promise((resolve) => redis.once('ready', resolve))))
})
afterAll(() => {
  for (const redis of connections) redis.disconnect()
})

function processes(policy: Partial<Policy>) {
  const [redis, ...others] = connections
  if (!redis) throw new Error('Not connected yet')
  const first = storeOn(redis, policy)
  const same = { prefix: first.prefix, vault: first.vault }
  const stores = [first, ...others.map((other) => storeOn(other, policy, same))]
  return { first, redis, at: (index: number) => stores[index] ?? first }
}

type Processes = ReturnType<typeof processes>

const paymentOf = (payment: number): { context?: Context } => {
  const context = PAYMENTS[payment]
  return context ? { context } : {}
}

/** What a process answered, in a word. */
function wordOf(answer: object): string {
  if ('refusal' in answer) return String(answer.refusal)
  if ('verdict' in answer) return `${answer.verdict} ${'checksLeft' in answer ? answer.checksLeft : ''}`
  return 'kind' in answer ? String(answer.kind) : 'nothing'
}

function foretellSend(model: Model, own: Modelled | undefined, payment: number | 'own'): string {
  const pending = own?.status === 'pending' ? own : undefined
  if (payment === 'own' && !own) return 'unknown_verification'
  if (payment === 'own' && !pending) return 'verification_ended'
  if (model.row >= model.limits.row) return 'number_disabled'
  const again = pending !== undefined && (payment === 'own' || pending.payment === payment)
  const spent = again && pending.sends === EACH.sends
  // By id the sends of the verification are asked about first.
  if (payment === 'own' && spent) return 'sends_exhausted'
  if (model.wrong >= model.limits.wrong) return 'check_limit'
  if (spent) return 'sends_exhausted'
  if (model.sends >= model.limits.sends) return 'send_limit'
  return again ? 'sent_again' : 'started'
}

function foretellCheck(model: Model, own: Modelled | undefined, right: boolean): string {
  if (!own) return 'unknown_verification'
  if (own.status === 'approved') return 'already_used 0'
  if (own.status !== 'pending') return `${own.status} 0`
  if (model.row >= model.limits.row) return 'number_disabled'
  if (model.wrong >= model.limits.wrong) return 'check_limit'
  if (model.guesses >= model.limits.guesses) return 'guess_limit'
  return right ? 'approved 0' : `wrong ${EACH.wrong - own.wrong - 1}`
}

function codeTyped(own: Modelled | undefined, typed: CheckStep['code']): Code {
  const alive = own?.codes.at(-1) ?? ('000000' as Code)
  if (typed === 'first') return own?.codes[0] ?? alive
  return typed === 'right' ? alive : wrongFor(alive)
}

function checkOf(all: Processes, at: CheckStep, own: Modelled | undefined, to: Sent) {
  const { verifications } = all.at(at.process)
  const code = codeTyped(own, at.code)
  const payment = at.payment === 'own' ? (own?.payment ?? 0) : 1 - (own?.payment ?? 0)
  const typed = { application: APPLICATION, code, ...paymentOf(payment) }
  const right = at.payment === 'own' && code === own?.codes.at(-1)
  const ask = () =>
    at.by === 'id' && own
      ? verifications.check({ ...typed, id: own.id })
      : verifications.checkDestination({ ...typed, destination: to, purpose: at.purpose })
  return { right, ask }
}

type Sent = ReturnType<typeof freshDestination>

function countCheck(model: Model, own: Modelled | undefined, word: string): void {
  if (!own) return
  if (word === 'approved 0') {
    own.status = 'approved'
    model.row = 0
  } else if (word.startsWith('wrong')) {
    own.wrong += 1
    model.wrong += 1
    model.row += 1
    model.guesses += 1
    if (own.wrong === EACH.wrong) own.status = 'exhausted'
  }
}

async function countSend(all: Processes, model: Model, started: object, purpose: Purpose, payment: number) {
  if (!('id' in started)) return
  const id = started.id as VerificationId
  const code = await all.first.codeFor(id)
  const known = model.every.find((one) => one.id === id)
  model.sends += 1
  if (known) {
    known.sends += 1
    known.codes.push(code)
    return
  }
  const replaced = model.newest.get(purpose)
  if (replaced?.status === 'pending') replaced.status = 'canceled'
  const fresh: Modelled = { id, status: 'pending', payment, codes: [code], wrong: 0, sends: 1 }
  model.newest.set(purpose, fresh)
  model.every.push(fresh)
}

const EVERY_WORD = [
  ...['started', 'sent_again', 'approved', 'wrong', 'exhausted', 'canceled', 'expired', 'already_used'],
  ...['unknown_verification', 'verification_ended', 'number_disabled', 'check_limit', 'guess_limit'],
  ...['send_limit', 'sends_exhausted'],
]
/** Everything that was ever foretold, to see that nothing of it was never reached. */
const foretold = new Set<string>()

function expectWord(answer: object, expected: string): void {
  expect(wordOf(answer)).toBe(expected)
  foretold.add(expected.replace(/ .*/, ''))
}

async function play(all: Processes, model: Model, to: Sent, at: Step): Promise<void> {
  const store = all.at(at.process)
  const own = model.newest.get(at.purpose)
  if ('by' in at) {
    const { right, ask } = checkOf(all, at, own, to)
    const expected = foretellCheck(model, own, right)
    expectWord(await ask(), expected)
    countCheck(model, own, expected)
  } else if (at.kind === 'start' && 'payment' in at) {
    const expected = foretellSend(model, own, at.payment)
    const request = store.requestFor(to, { purpose: at.purpose, ...paymentOf(at.payment) })
    const started = await store.verifications.start(request)
    expectWord(started, expected)
    await countSend(all, model, started, at.purpose, at.payment)
  } else if (at.kind === 'resend') {
    const expected = foretellSend(model, own, 'own')
    const id = own?.id ?? ('0'.repeat(32) as VerificationId)
    const started = await store.verifications.resend(APPLICATION, id)
    expectWord(started, expected)
    await countSend(all, model, started, at.purpose, own?.payment ?? 0)
  } else if (at.kind === 'cancel' && own) {
    const canceled = await store.verifications.cancel(APPLICATION, own.id)
    if (own.status === 'pending') own.status = 'canceled'
    expectWord(canceled, own.status === 'canceled' ? 'canceled' : 'verification_ended')
  } else if (at.kind === 'expire' && own?.status === 'pending') {
    // What five minutes do to it.
    await all.redis.hset(store.keys.verification(APPLICATION, own.id), 'expires', 1)
    own.status = 'expired'
  } else if (at.kind === 'rebind') {
    await store.destinations.rebind(APPLICATION, to)
    model.row = 0
  } else if (at.kind === 'erase') {
    await store.destinations.erase(APPLICATION, to)
    Object.assign(model, { newest: new Map(), every: [], sends: 0, wrong: 0, row: 0 })
  }
}

it(
  'one after the other, over three processes, every answer is the one foretold',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('same' as const, 'new' as const),
        limits,
        fc.array(step, { minLength: 25, maxLength: 60 }),
        async (resendCode, limits, steps) => {
          const all = processes(policyWith(resendCode, limits))
          const to = freshDestination()
          const model = newModel(limits)
          for (const at of steps) await play(all, model, to, at)
          for (const { id, status, wrong, sends } of model.every) {
            const read = await all.first.verifications.read(APPLICATION, id)
            expect(read).toMatchObject({ status })
            const hash = await all.first.hash(id)
            expect(hash).toMatchObject({ wrong: String(wrong), sends: String(sends) })
            if (hash.status !== 'pending') expect(hash).not.toHaveProperty('sealed')
          }
          expect(await keysWithoutTtl(all.redis, all.first.prefix)).toEqual([])
        },
      ),
      { numRuns: 100 },
    )
    expect([...foretold].sort()).toEqual(EVERY_WORD.toSorted())
  },
  LONGEST_MS,
)

it(
  'all at once, no budget is passed, nothing is approved twice, and every count is what was answered',
  async () => {
    const checks = step.filter((at): at is CheckStep => 'by' in at)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('same' as const, 'new' as const),
        limits,
        fc.array(step, { minLength: 10, maxLength: 60 }),
        fc.array(checks, { minLength: 10, maxLength: 40 }),
        async (resendCode, limits, steps, guesses) => {
          const all = processes(policyWith(resendCode, limits))
          const to = freshDestination()
          const model = newModel(limits)
          for (const purpose of PURPOSES) {
            const started = await all.first.start(to, { purpose })
            await countSend(all, model, started, purpose, 0)
          }
          const answers = await Promise.all([...steps, ...guesses].map((at) => ask(all, model, to, at)))
          const said = answers.filter((answer) => answer !== undefined)
          const wrong = said.filter((answer) => 'verdict' in answer && answer.verdict === 'wrong')
          const sent = said.filter((answer) => ['started', 'sent_again'].includes(wordOf(answer)))
          expect(wrong.length).toBeLessThanOrEqual(Math.min(limits.wrong, limits.guesses))
          expect(sent.length + PURPOSES.length).toBeLessThanOrEqual(limits.sends)
          const ids = new Set(
            [...model.every, ...sent, ...wrong].flatMap((one) => ('id' in one ? [one.id] : [])),
          )
          for (const id of ids as Set<VerificationId>) {
            const of = (word: string) =>
              said.filter((one) => 'id' in one && one.id === id && wordOf(one).startsWith(word))
            const hash = await all.first.hash(id)
            const approvals = of('approved').length
            expect(approvals).toBe(hash.status === 'approved' ? 1 : 0)
            expect(Number(hash.wrong)).toBe(of('wrong').length)
            expect(Number(hash.wrong)).toBeLessThanOrEqual(EACH.wrong)
            const before = model.every.some((one) => one.id === id) ? 1 : 0
            expect(Number(hash.sends)).toBe(of('started').length + of('sent_again').length + before)
            expect('sealed' in hash).toBe(hash.status === 'pending')
          }
        },
      ),
      { numRuns: 100 },
    )
  },
  LONGEST_MS,
)

/** One step without waiting for those before it, whatever they may have changed. */
async function ask(all: Processes, model: Model, to: Sent, at: Step): Promise<object | undefined> {
  const { verifications, requestFor } = all.at(at.process)
  const own = model.newest.get(at.purpose)
  if ('by' in at) return checkOf(all, at, own, to).ask()
  if (at.kind === 'start' && 'payment' in at)
    return verifications.start(requestFor(to, { purpose: at.purpose, ...paymentOf(at.payment) }))
  if (at.kind === 'resend' && own) return verifications.resend(APPLICATION, own.id)
  if (at.kind === 'cancel' && own) await verifications.cancel(APPLICATION, own.id)
  return undefined
}
