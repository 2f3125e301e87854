/** Every timer of one sandbox, so that closing it leaves none behind. */
export type Timers = {
  /** Runs `work` after `delayMs`; at once, in the same tick, when that is 0 or less. */
  soon(delayMs: number, work: () => void): void
  /** Runs `work` after `delayMs`, never in the same tick. */
  later(delayMs: number, work: () => void): void
  clear(): void
}

export function createTimers(): Timers {
  const waiting = new Set<NodeJS.Timeout>()

  function later(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      waiting.delete(timer)
      work()
    }, delayMs)
    waiting.add(timer)
  }

  return {
    later,
    soon(delayMs, work) {
      if (delayMs > 0) later(delayMs, work)
      else work()
    },
    clear() {
      for (const timer of waiting) clearTimeout(timer)
      waiting.clear()
    },
  }
}
