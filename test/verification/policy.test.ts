/** The default numbers of the service, held against the rules they come from. */
import { expect, it } from 'vitest'
import { HARD_LIMITS, DEFAULT_POLICY as policy } from '#verification/policy.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)

it('a code lives five minutes, and never more than ten (NIST SP 800-63B-4 §3.1.3.2)', () => {
  expect(HARD_LIMITS.codeTtlMs).toBe(10 * MINUTE)
  expect(policy.codeTtlMs).toBe(5 * MINUTE)
})

it('a verification takes five wrong codes, and never more than ten', () => {
  expect(HARD_LIMITS.checksMax).toBe(10)
  expect(policy.checksMax).toBe(5)
})

it('a number takes 10 wrong codes an hour and 20 a day', () => {
  expect(policy.wrongCheckLimits).toEqual([
    { name: 'number_wrong_hour', max: 10, windowMs: HOUR },
    { name: 'number_wrong_day', max: 20, windowMs: 24 * HOUR },
  ])
})

it('a hundred wrong codes in a row disable a number, and never more (NIST SP 800-63B-4 §3.2.2)', () => {
  expect(HARD_LIMITS.wrongInARowMax).toBe(100)
  expect(policy.wrongInARowMax).toBe(100)
  expect(policy.wrongInARowTtlMs).toBe(365 * 24 * HOUR)
})

it('payments of a number take five wrong codes in a row, then wait (RTS (EU) 2018/389 Art. 4(3)(b))', () => {
  expect(policy.payments).toEqual({ wrongMax: 5, blockMs: 15 * MINUTE, periodMs: 24 * HOUR })
})

it('a number gets 5 sends in ten minutes and 10 a day', () => {
  expect(policy.sendLimits).toEqual([
    { name: 'number_10_minutes', max: 5, windowMs: 10 * MINUTE },
    { name: 'number_day', max: 10, windowMs: 24 * HOUR },
  ])
})

it('the sends of a number name every verification of it that can still be read, so that it can be erased', () => {
  const most = policy.sendLimits.toSorted((one, other) => other.max - one.max)[0]
  expect(most?.windowMs).toBeGreaterThan(HARD_LIMITS.codeTtlMs + policy.retentionMs)
})

it('resends wait 30, 60 and 120 seconds', () => {
  expect(policy.resendWaitsMs).toEqual([30 * SECOND, 60 * SECOND, 120 * SECOND])
})

it('the last resend can still leave in time to be typed', () => {
  expect(total(policy.resendWaitsMs)).toBeLessThan(policy.codeTtlMs - policy.sendReserveMs)
})

it('one verification alone never spends the sends of its number', () => {
  expect(policy.resendWaitsMs.length + 1).toBeLessThanOrEqual(
    Math.min(...policy.sendLimits.map(({ max }) => max)),
  )
})

it('at most two messages leave for one send, the second only while the code is alive', () => {
  expect(policy.submissionsMax).toBe(2)
  expect(policy.leaseMs + policy.receiptWaitMs).toBeLessThan(policy.codeTtlMs - policy.sendReserveMs)
})

it('an Idempotency-Key outlives the verification it may have started', () => {
  expect(policy.idempotencyTtlMs).toBeGreaterThan(HARD_LIMITS.codeTtlMs + policy.retentionMs)
})
