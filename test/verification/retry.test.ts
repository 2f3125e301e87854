/** Waits between attempts that were known not to be sent. */
import { expect, it } from 'vitest'
import { backoffMs } from '#verification/retry.ts'

const never = () => 0
const almostOne = () => 1 - Number.EPSILON / 2

it.each([
  { inARow: 1, least: 500, most: 1_000 },
  { inARow: 2, least: 1_000, most: 2_000 },
  { inARow: 3, least: 2_000, most: 4_000 },
  { inARow: 4, least: 4_000, most: 8_000 },
  { inARow: 5, least: 7_500, most: 15_000 },
  { inARow: 6, least: 7_500, most: 15_000 },
  { inARow: 60, least: 7_500, most: 15_000 },
  { inARow: 2_000, least: 7_500, most: 15_000 },
])(
  '$inARow busy in a row are followed by another attempt after $least to $most ms',
  ({ inARow, least, most }) => {
    expect(backoffMs(inARow, never)).toBe(least)
    expect(backoffMs(inARow, () => 0.5)).toBe((least + most) / 2)
    expect(backoffMs(inARow, almostOne)).toBe(most)
  },
)

it('a wait is a whole number of milliseconds', () => {
  const waits = Array.from({ length: 100 }, (_, index) => backoffMs(1, () => index / 101))
  expect(waits.every(Number.isInteger)).toBe(true)
})

it.each([
  { says: 0, waits: 1_000 },
  { says: 999, waits: 1_000 },
  { says: 1_001, waits: 1_001 },
  { says: 40_000, waits: 40_000 },
])(
  'a provider that says $says ms is asked again after $waits ms, however many were busy',
  ({ says, waits }) => {
    for (const inARow of [1, 5, 60]) expect(backoffMs(inARow, almostOne, says)).toBe(waits)
  },
)
