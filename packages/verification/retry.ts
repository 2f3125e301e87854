/**
 * When an attempt that was known not to be sent is made again: exponential, jittered, so that workers do not knock in
 * step at a provider that is coming back. The ledger cuts it at the deadline. And likewise when an event is told again.
 */

const FIRST_MS = 1_000
const LONGEST_MS = 15_000

/**
 * Wait before the next attempt, in milliseconds: between half and all of 1, 2, 4, 8, 15, 15, … seconds. A provider that
 * says when to come back is believed, but for less than the first of these.
 *
 * @param inARow attempts up to now that were busy for the same reason with none of another kind between, 1 or more
 * @param random uniform in [0, 1)
 */
export function backoffMs(inARow: number, random: () => number, retryAfterMs?: number): number {
  const wait = (row: number) => jittered(Math.min(LONGEST_MS, FIRST_MS * 2 ** (row - 1)), random)
  return retryAfterMs === undefined ? wait(inARow) : Math.max(retryAfterMs, wait(1))
}

const TELL_FIRST_MS = 5_000
/** A receiver that was away is told what it missed within so long of its return. */
const TELL_LONGEST_MS = 900_000

/**
 * Wait before an event is told again to a receiver that did not take it: between half and all of 5, 15, 45 seconds,
 * 2, 7, 15, 15, … minutes. Fewer than 200 tries a day.
 *
 * @param tries tries made so far, 1 or more
 * @param random uniform in [0, 1)
 */
export function tellAgainMs(tries: number, random: () => number): number {
  return jittered(Math.min(TELL_LONGEST_MS, TELL_FIRST_MS * 3 ** (tries - 1)), random)
}

function jittered(longest: number, random: () => number): number {
  return Math.round(longest / 2 + (longest / 2) * random())
}
