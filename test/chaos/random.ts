/** Randomness that a seed repeats (mulberry32), in the shapes a plan needs. */

export type Random = ReturnType<typeof createRandom>

export function createRandom(seed: number) {
  let state = seed >>> 0

  /** Uniform in [0, 1). */
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  const integer = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))

  return {
    /** A whole number, both ends included. */
    integer,
    chance: (share: number) => next() < share,
    /** Short times are as likely as long ones of ten times the length. */
    time: (from: number, to: number) => Math.round(from * (to / from) ** next()),
    /** The wait for something that happens so often on average, whenever it happened last. */
    wait: (averageMs: number) => Math.round(-Math.log(1 - next()) * averageMs),
    /** One of these, in proportion to its weight. */
    weighted<T>(choices: readonly (readonly [T, number])[]): T {
      let left = next() * choices.reduce((sum, [, weight]) => sum + weight, 0)
      for (const [choice, weight] of choices) {
        left -= weight
        if (left < 0) return choice
      }
      throw new Error('Nothing to choose from')
    },
  }
}
