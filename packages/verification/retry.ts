/**
 * When an attempt that was known not to be sent is made again: exponential, jittered, so that workers do not knock in
 * step at a provider that is coming back. The ledger cuts it at the deadline.
 */

const FIRST_MS = 1_000
const LONGEST_MS = 15_000

/**
 * Wait before the next attempt, in milliseconds: between half and all of 1, 2, 4, 8, 15, 15, … seconds.
 *
 * @param attempt attempts made so far, 1 or more
 * @param random uniform in [0, 1)
 */
export function backoffMs(attempt: number, random: () => number): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1))
  return Math.round(longest / 2 + (longest / 2) * random())
}
