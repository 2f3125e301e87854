/**
 * The promises against a model: random histories of one number, over several purposes, payments and connections. One
 * after the other every answer is foretold; all at once the budgets hold and every count is right. The same model over
 * processes of their own: test/system/promises.test.ts.
 */
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connectForRequests } from '#runtime/redis.ts'
import { keysWithoutTtl, silentLog, testRedisUrl } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Policy } from '#verification/policy.ts'
import type { VerificationId } from '#verification/verification.ts'
import {
  type CheckStep,
  checkOf,
  countSend,
  EVERY_WORD,
  expectKept,
  foretold,
  guessRule,
  limits,
  type Model,
  newModel,
  PROCESSES,
  PURPOSES,
  paymentOf,
  play,
  policyWith,
  type Sent,
  type Step,
  step,
  wordOf,
} from './model.ts'

/** A history that fails is played many times over, to make it short. */
const LONGEST_MS = 60_000

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
  return { first, at: (index: number) => stores[index] ?? first }
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
          await expectKept(all, model)
          expect(await keysWithoutTtl(all.first.redis, all.first.prefix)).toEqual([])
        },
      ),
      { numRuns: 100 },
    )
    expect([...foretold].sort()).toEqual(EVERY_WORD.toSorted())
  },
  LONGEST_MS,
)

/** How a step is asked besides what it asks: again under a key, as the form asks, from an address. */
const manners = fc
  .record({
    key: fc.constantFrom(undefined, undefined, undefined, 'one', 'two'),
    silent: fc.constantFrom(false, false, false, true),
    clientIp: fc.constantFrom(undefined, '203.0.113.7', '203.0.113.8'),
  })
  // The form knows no keys; what a silent caller is told without a comparison is not remembered.
  .filter(({ key, silent }) => key === undefined || !silent)
type Manners = typeof manners extends fc.Arbitrary<infer T> ? T : never
type Asked = { at: Step; manners: Manners; answer: object | undefined }

const ipRule = (max: number) => ({ ...guessRule(max), name: 'ip_wrong', scope: 'ip' as const })

/** What was decided, each once: an answer that was given again under its key is the same one. */
function decided(asked: readonly Asked[]): { answer: object; silent: boolean }[] {
  const first = new Map<string, object>()
  return asked.flatMap(({ at, manners: { key, silent }, answer }) => {
    if (answer === undefined) return []
    const word = wordOf(answer)
    if (key === undefined || 'refusal' in answer || !('by' in at || at.kind === 'start'))
      return [{ answer, silent }]
    const name = `${'by' in at} ${key}`
    const known = first.get(name)
    if (known === undefined) {
      first.set(name, answer)
      return [{ answer, silent }]
    }
    // Whatever was asked between, the first answer stands.
    expect({ word, id: 'id' in answer && answer.id }).toEqual({
      word: wordOf(known),
      id: 'id' in known && known.id,
    })
    return []
  })
}

const isWrong = (answer: object) => 'verdict' in answer && answer.verdict === 'wrong'
const isSent = (answer: object) => ['started', 'sent_again'].includes(wordOf(answer))

it(
  'all at once, no budget is passed, nothing is approved twice, and every count is what was answered',
  async () => {
    const checks = step.filter((at): at is CheckStep => 'by' in at)
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('same' as const, 'new' as const),
        limits,
        fc.array(fc.tuple(step, manners), { minLength: 10, maxLength: 60 }),
        fc.array(fc.tuple(checks, manners), { minLength: 10, maxLength: 40 }),
        async (resendCode, limits, steps, guesses) => {
          const policy = policyWith(resendCode, limits)
          const all = processes({
            ...policy,
            guessRules: [guessRule(limits.guesses), ipRule(limits.guesses)],
          })
          const to = freshDestination()
          const model = newModel(limits)
          for (const purpose of PURPOSES) {
            const started = await all.first.start(to, { purpose })
            await countSend(all, model, started, purpose, 0)
          }
          const everything = [...steps, ...guesses]
          const asked = await Promise.all(
            everything.map(async ([at, manners]) => ({
              at,
              manners,
              answer: await ask(all, model, to, { at, manners }),
            })),
          )
          const said = decided(asked)
          for (const { answer } of said) seen.add(wordOf(answer).replace(/ .*/, ''))
          // Each erasure forgets what the number had used up, but not what the application and the addresses had.
          const lives = 1 + everything.filter(([at]) => at.kind === 'erase').length
          const wrong = said.filter(({ answer, silent }) => isWrong(answer) && !silent)
          const sent = said.filter(({ answer }) => isSent(answer))
          expect(wrong.length).toBeLessThanOrEqual(Math.min(limits.wrong * lives, limits.guesses))
          expect(sent.length + PURPOSES.length).toBeLessThanOrEqual(limits.sends * lives)
          const ids = new Set(
            [...model.every, ...said.map(({ answer }) => answer)].flatMap((one) =>
              'id' in one ? [one.id] : [],
            ),
          )
          for (const id of ids as Set<VerificationId>) await expectAnswered(all, model, said, id)
          expect(await keysWithoutTtl(all.first.redis, all.first.prefix)).toEqual([])
        },
      ),
      { numRuns: 100 },
    )
    for (const word of [
      'started',
      'sent_again',
      'approved',
      'wrong',
      'expired',
      'idempotency_mismatch',
      'unknown_verification',
    ])
      expect(seen).toContain(word)
  },
  LONGEST_MS,
)

/** What is kept of a verification against what was said of it; one that was erased was approved once at most. */
async function expectAnswered(
  all: ReturnType<typeof processes>,
  model: Model,
  said: ReturnType<typeof decided>,
  id: VerificationId,
): Promise<void> {
  const of = (word: string, which: (silent: boolean) => boolean = () => true) =>
    said.filter(
      ({ answer, silent }) =>
        'id' in answer && answer.id === id && wordOf(answer).startsWith(word) && which(silent),
    ).length
  const approvals = of('approved')
  const hash = await all.first.hash(id)
  if (hash.status === undefined) {
    expect(approvals).toBeLessThanOrEqual(1)
    return
  }
  expect(approvals).toBe(hash.status === 'approved' ? 1 : 0)
  // A silent caller is told *wrong* also where nothing was compared.
  expect(Number(hash.wrong)).toBeGreaterThanOrEqual(of('wrong', (silent) => !silent))
  expect(Number(hash.wrong)).toBeLessThanOrEqual(of('wrong'))
  expect(Number(hash.wrong)).toBeLessThanOrEqual(model.limits.eachWrong)
  const before = model.every.some((one) => one.id === id) ? 1 : 0
  expect(Number(hash.sends)).toBe(of('started') + of('sent_again') + before)
  expect('sealed' in hash).toBe(hash.status === 'pending')
}

/** One step without waiting for those before it, whatever they may have changed. */
async function ask(
  all: ReturnType<typeof processes>,
  model: Model,
  to: Sent,
  { at, manners: { key, silent, clientIp } }: { at: Step; manners: Manners },
): Promise<object | undefined> {
  const { verifications, requestFor, destinations } = all.at(at.process)
  const own = model.newest.get(at.purpose)
  const more = {
    ...(key ? { idempotencyKey: key } : {}),
    ...(silent ? { silent } : {}),
    ...(clientIp ? { clientIp } : {}),
  }
  if ('by' in at) return checkOf(all, at, own, to, more).ask()
  if (at.kind === 'start' && 'payment' in at)
    return verifications.start(requestFor(to, { purpose: at.purpose, ...paymentOf(at.payment), ...more }))
  if (at.kind === 'resend' && own)
    return verifications.resend(APPLICATION, own.id, clientIp ? { clientIp } : {})
  if (at.kind === 'cancel' && own) await verifications.cancel(APPLICATION, own.id)
  if (at.kind === 'expire' && own) await expireIn(all, own.id)
  if (at.kind === 'rebind') await destinations.rebind(APPLICATION, to)
  if (at.kind === 'erase') await destinations.erase(APPLICATION, to)
  return undefined
}

/** What five minutes do to it, if it is still there: an erased one must not come back. */
async function expireIn({ first }: ReturnType<typeof processes>, id: VerificationId): Promise<void> {
  const text = "return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HSET', KEYS[1], 'expires', 1) or 0"
  await first.redis.eval(text, 1, first.keys.verification(APPLICATION, id))
}
