/** Random histories of one verification against a model of it: whatever the order, the promises hold. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import type { Destination } from '#verification/destination.ts'
import type { Outcome } from '#verification/outcome.ts'

const connection = useRedis()

const step = fc.constantFrom(
  'right',
  'wrong',
  'resend',
  'cancel',
  'claim',
  'accepted',
  'unknown',
  'busy',
  'delivered',
  'sweep',
  'stop',
  'start',
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const outcomes: Partial<Record<Step, Outcome>> = {
  accepted: { kind: 'accepted', messageId: 'm' },
  unknown: { kind: 'unknown', reason: 'timeout' },
  busy: { kind: 'busy', reason: 'not_connected' },
}

/** The verification as it should be: nothing but its status and what has been used up. */
type Model = {
  status: 'pending' | 'approved' | 'canceled' | 'exhausted'
  wrong: number
  approvals: number
  stopped: boolean
}

it('any history approves at most once, never past five wrong codes, and submits each send at most twice, none after a STOP', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      const store = storeOn(connection.redis, { resendWaitsMs: [0, 0, 0], receiptWaitMs: 0, sweepAfterMs: 0 })
      const destination = freshDestination()
      const { id } = await store.start(destination)
      const code = await store.codeFor(id)
      const model: Model = { status: 'pending', wrong: 0, approvals: 0, stopped: false }
      for (const [index, name] of steps.entries())
        await play(store, { id, destination, code, model, name, token: `t${index}` })
      const hash = await store.hash(id)
      expect(hash.status).toBe(model.status)
      expect(Number(hash.wrong)).toBe(model.wrong)
      expect(model.approvals).toBeLessThanOrEqual(1)
      expect('sealed' in hash).toBe(model.status === 'pending')
      for (let send = 1; send <= Number(hash.sends); send++) {
        const submitted = Number(hash[`${send}:submitted`] ?? 0)
        expect(submitted).toBeLessThanOrEqual(2)
        expect(submitted).toBeGreaterThanOrEqual(0)
      }
      expect(await keysWithoutTtl(connection.redis, store.prefix)).toEqual([])
    }),
    { numRuns: 150 },
  )
})

type Store = ReturnType<typeof storeOn>
type Play = {
  id: Awaited<ReturnType<Store['start']>>['id']
  destination: Destination
  code: Awaited<ReturnType<Store['codeFor']>>
  model: Model
  name: Step
  token: string
}

let held = ''

async function play(store: Store, { id, destination, code, model, name, token }: Play): Promise<void> {
  const pending = model.status === 'pending'
  const send = { application: APPLICATION, verification: id, send: Number((await store.hash(id)).sends) }
  const outcome = outcomes[name]
  if (name === 'right') {
    const checked = await store.check(id, code)
    const approved = checked.kind === 'checked' && checked.verdict === 'approved'
    expect(approved).toBe(pending)
    if (approved) Object.assign(model, { status: 'approved', approvals: model.approvals + 1 })
  } else if (name === 'wrong') {
    const checked = await store.check(id, wrongFor(code))
    expect(checked).toMatchObject(
      pending ? { verdict: 'wrong', checksLeft: 4 - model.wrong } : { kind: 'checked' },
    )
    if (pending) model.wrong += 1
    if (model.wrong === 5 && pending) model.status = 'exhausted'
  } else if (name === 'cancel') {
    await store.verifications.cancel(APPLICATION, id)
    if (pending) model.status = 'canceled'
  } else if (name === 'resend') {
    const again = await store.verifications.resend(APPLICATION, id)
    if (!pending || model.stopped) expect(again.kind).toBe('refused')
  } else if (name === 'claim') {
    const claim = await store.deliveries.claim(send, token)
    if (!pending || model.stopped) expect(claim.kind).not.toBe('claimed')
    if (claim.kind === 'claimed') held = token
  } else if (name === 'stop' || name === 'start') {
    await store.suppressions.heed({ keyword: name, destination, sender: '+12025550199', agoMs: 0, token })
    model.stopped = name === 'stop'
  } else if (name === 'sweep') {
    await store.deliveries.sweep(APPLICATION, 10)
  } else if (name === 'delivered') {
    await store.deliveries.takeReceipt(send, { messageId: 'm', state: 'delivered' })
  } else if (outcome) {
    await store.deliveries.record(send, { token: held, outcome, waitMs: 0 })
  }
}
