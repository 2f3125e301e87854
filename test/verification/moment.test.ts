/** How much time has passed, when one of two clocks says too little. */
import { expect, it } from 'vitest'
import { type Moment, msBetween } from '#verification/moment.ts'

const at = (monotonicMs: number, wallMs: number): Moment => ({ monotonicMs, wallMs })

it.each([
  ['both clocks go', at(500, 500), 500],
  ['the host was suspended and the monotonic clock stood still', at(20, 3_600_000), 3_600_000],
  ['the wall clock was set back', at(500, -3_600_000), 500],
])('the time that has passed is never told too short when %s', (_, to, passed) => {
  expect(msBetween(at(0, 0), to)).toBe(passed)
})
