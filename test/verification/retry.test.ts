/** Waits between attempts that were known not to be sent. */
import { expect, it } from 'vitest'
import { backoffMs } from '#verification/retry.ts'

const never = () => 0
const almostOne = () => 1 - Number.EPSILON / 2

it.each([
  { attempt: 1, least: 500, most: 1_000 },
  { attempt: 2, least: 1_000, most: 2_000 },
  { attempt: 3, least: 2_000, most: 4_000 },
  { attempt: 4, least: 4_000, most: 8_000 },
  { attempt: 5, least: 7_500, most: 15_000 },
  { attempt: 6, least: 7_500, most: 15_000 },
  { attempt: 60, least: 7_500, most: 15_000 },
  { attempt: 2_000, least: 7_500, most: 15_000 },
])('attempt $attempt is followed by another after $least to $most ms', ({ attempt, least, most }) => {
  expect(backoffMs(attempt, never)).toBe(least)
  expect(backoffMs(attempt, () => 0.5)).toBe((least + most) / 2)
  expect(backoffMs(attempt, almostOne)).toBe(most)
})

it('a wait is a whole number of milliseconds', () => {
  const waits = Array.from({ length: 100 }, (_, index) => backoffMs(1, () => index / 101))
  expect(waits.every(Number.isInteger)).toBe(true)
})
