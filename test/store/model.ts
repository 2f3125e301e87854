/**
 * What the service should answer, as a model small enough to be right: one number, its verifications over purposes and
 * payments, its budgets. Plays a step on the service and foretells the answer; knows nothing of how it is reached.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Destinations } from '#store/destinations.ts'
import type { Verifications } from '#store/verifications.ts'
import { APPLICATION, type freshDestination, type storeOn, wrongFor } from '#test/fixtures/store.ts'
import type { Code } from '#verification/code.ts'
import { type Context, parseContext } from '#verification/context.ts'
import type { Rule } from '#verification/gate.ts'
import type { Policy } from '#verification/policy.ts'
import type { Purpose, VerificationId } from '#verification/verification.ts'

const DAY_MS = 86_400_000
export const PROCESSES = 3

/** `eachSends`, `eachWrong`: of one verification. */
export type Limits = {
  eachSends: number
  eachWrong: number
  sends: number
  wrong: number
  row: number
  payments: number
  guesses: number
}
/** Any of them may be the first that is reached. */
export const limits = fc.record({
  // Small, so that a short history reaches every limit.
  eachSends: fc.constant(3),
  eachWrong: fc.constant(2),
  sends: fc.integer({ min: 3, max: 25 }),
  wrong: fc.integer({ min: 1, max: 12 }),
  row: fc.integer({ min: 1, max: 5 }),
  payments: fc.integer({ min: 1, max: 4 }),
  guesses: fc.integer({ min: 1, max: 12 }),
})

export const guessRule = (max: number): Rule => ({
  name: 'application_wrong',
  scope: 'application',
  counts: 'wrong_checks',
  windowMs: DAY_MS,
  max,
  mode: 'block',
})

export const policyWith = (
  resendCode: Policy['resendCode'],
  { eachSends, eachWrong, sends, wrong, row, payments, guesses }: Limits,
): Partial<Policy> => ({
  resendCode,
  resendWaitsMs: Array<number>(eachSends - 1).fill(0),
  checksMax: eachWrong,
  sendLimits: [{ name: 'sends', max: sends, windowMs: DAY_MS }],
  wrongCheckLimits: [{ name: 'wrong', max: wrong, windowMs: DAY_MS }],
  wrongInARowMax: row,
  payments: { wrongMax: payments, blockMs: DAY_MS, periodMs: DAY_MS },
  rules: [],
  guessRules: [guessRule(guesses)],
})

const [LOGIN, PAYMENT] = ['login', 'payment'] as [Purpose, Purpose]
export const PURPOSES = [LOGIN, PAYMENT]
const PAYMENTS = [undefined, parseContext({ amount: '1', currency: 'EUR', payee: 'Shop' })]

const who = { process: fc.nat(PROCESSES - 1), purpose: fc.constantFrom(LOGIN, LOGIN, LOGIN, PAYMENT) }
export const step = fc.oneof(
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
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
export type CheckStep = Extract<Step, { by: string }>

/** A verification as it should be. `codes`: the one alive last. */
type Modelled = {
  id: VerificationId
  status: 'pending' | 'approved' | 'canceled' | 'expired' | 'exhausted'
  payment: number
  codes: Code[]
  wrong: number
  sends: number
}
export type Model = {
  newest: Map<Purpose, Modelled>
  every: Modelled[]
  sends: number
  wrong: number
  row: number
  payments: number
  guesses: number
  limits: Limits
}

export const newModel = (limits: Limits): Model => ({
  newest: new Map(),
  every: [],
  sends: 0,
  wrong: 0,
  row: 0,
  payments: 0,
  guesses: 0,
  limits,
})

/** The processes of a service, and a way into what they keep. */
export type Service = {
  first: ReturnType<typeof storeOn>
  at(process: number): {
    verifications: Pick<Verifications, 'start' | 'resend' | 'check' | 'checkDestination' | 'cancel'>
    destinations: Destinations
  }
}

export const paymentOf = (payment: number): { context?: Context } => {
  const context = PAYMENTS[payment]
  return context ? { context } : {}
}

/** What a process answered, in a word. */
export function wordOf(answer: object): string {
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
  const spent = again && pending.sends === model.limits.eachSends
  const blocked = isBlocked(model, payment === 'own' ? pending?.payment : payment)
  // By id the sends of the verification are asked about first.
  if (payment === 'own' && spent) return 'sends_exhausted'
  if (model.wrong >= model.limits.wrong) return 'check_limit'
  if (blocked) return 'payment_blocked'
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
  if (isBlocked(model, own.payment)) return 'payment_blocked'
  if (model.guesses >= model.limits.guesses) return 'guess_limit'
  return right ? 'approved 0' : `wrong ${checksLeft(model, own) - 1}`
}

const isBlocked = (model: Model, payment: number | undefined) =>
  payment === 1 && model.payments >= model.limits.payments

function checksLeft({ limits, payments }: Model, { payment, wrong }: Modelled): number {
  if (payment === 0) return limits.eachWrong - wrong
  return Math.min(Math.min(limits.eachWrong, limits.payments) - wrong, limits.payments - payments)
}

function codeTyped(own: Modelled | undefined, typed: CheckStep['code']): Code {
  const alive = own?.codes.at(-1) ?? ('000000' as Code)
  if (typed === 'first') return own?.codes[0] ?? alive
  return typed === 'right' ? alive : wrongFor(alive)
}

export function checkOf(all: Service, at: CheckStep, own: Modelled | undefined, to: Sent, more: object = {}) {
  const { verifications } = all.at(at.process)
  const code = codeTyped(own, at.code)
  const payment = at.payment === 'own' ? (own?.payment ?? 0) : 1 - (own?.payment ?? 0)
  const typed = { application: APPLICATION, code, ...paymentOf(payment), ...more }
  const right = at.payment === 'own' && code === own?.codes.at(-1)
  const ask = () =>
    at.by === 'id' && own
      ? verifications.check({ ...typed, id: own.id })
      : verifications.checkDestination({ ...typed, destination: to, purpose: at.purpose })
  return { right, ask }
}

export type Sent = ReturnType<typeof freshDestination>

function countCheck(model: Model, own: Modelled | undefined, word: string): void {
  if (!own) return
  if (word === 'approved 0') {
    own.status = 'approved'
    model.row = 0
    if (own.payment === 1) model.payments = 0
  } else if (word.startsWith('wrong')) {
    own.wrong += 1
    model.wrong += 1
    model.row += 1
    model.guesses += 1
    if (own.payment === 1) model.payments += 1
    if (word === 'wrong 0') own.status = 'exhausted'
  }
}

export async function countSend(
  all: Service,
  model: Model,
  started: object,
  purpose: Purpose,
  payment: number,
) {
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

export const EVERY_WORD = [
  ...['started', 'sent_again', 'approved', 'wrong', 'exhausted', 'canceled', 'expired', 'already_used'],
  ...['unknown_verification', 'verification_ended', 'number_disabled', 'check_limit', 'guess_limit'],
  ...['send_limit', 'sends_exhausted', 'payment_blocked'],
]
/** Everything that was ever foretold, to see that nothing of it was never reached. */
export const foretold = new Set<string>()

function expectWord(answer: object, expected: string): void {
  expect(wordOf(answer)).toBe(expected)
  foretold.add(expected.replace(/ .*/, ''))
}

export async function play(all: Service, model: Model, to: Sent, at: Step): Promise<void> {
  const store = all.at(at.process)
  const own = model.newest.get(at.purpose)
  if ('by' in at) {
    const { right, ask } = checkOf(all, at, own, to)
    const expected = foretellCheck(model, own, right)
    expectWord(await ask(), expected)
    countCheck(model, own, expected)
  } else if (at.kind === 'start' && 'payment' in at) {
    const expected = foretellSend(model, own, at.payment)
    const request = all.first.requestFor(to, { purpose: at.purpose, ...paymentOf(at.payment) })
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
    await all.first.redis.hset(all.first.keys.verification(APPLICATION, own.id), 'expires', 1)
    own.status = 'expired'
  } else if (at.kind === 'rebind') {
    await store.destinations.rebind(APPLICATION, to)
    model.row = 0
  } else if (at.kind === 'erase') {
    await store.destinations.erase(APPLICATION, to)
    Object.assign(model, { newest: new Map(), every: [], sends: 0, wrong: 0, row: 0, payments: 0 })
  }
}

/** That what the service keeps is what it answered. */
export async function expectKept(all: Service, model: Model): Promise<void> {
  for (const { id, status, wrong, sends } of model.every) {
    expect(await all.first.verifications.read(APPLICATION, id)).toMatchObject({ status })
    const hash = await all.first.hash(id)
    expect(hash).toMatchObject({ wrong: String(wrong), sends: String(sends) })
    if (hash.status !== 'pending') expect(hash).not.toHaveProperty('sealed')
  }
}
