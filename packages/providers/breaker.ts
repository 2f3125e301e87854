/**
 * The circuit breaker of one provider: opens when failures go on for a while, however many messages were in hand at
 * each, and lets a single message find out after some time, or at once when the provider has become ready anew.
 */
import {
  CircuitState,
  circuitBreaker,
  handleWhenResult,
  type IBackoff,
  type IBreaker,
  isBrokenCircuitError,
} from 'cockatiel'
import type { Outcome } from '#verification/outcome.ts'

/** `open`: left alone. `half_open`: one message is on its way to find out. `closed`: as usual. */
export type BreakerState = 'open' | 'half_open' | 'closed'

export type BreakerOptions = {
  /** Failures in a row that open it. Default 5. */
  failuresMax?: number
  /** Failures nearer to each other than this are one, such as all that a cut socket had in hand. Default 1 s. */
  apartMs?: number
  /** How long it stays open. Default 10 s. */
  openMs?: number
}

export type Breaker = {
  /** Whether a message would be let through now. */
  lets(): boolean
  /** What the message came to; undefined when it is not let through. */
  execute(send: () => Promise<Outcome>): Promise<Outcome | undefined>
}

/** @param readySinceMs when the provider last became ready, by the monotonic clock */
export function createBreaker(
  isFailure: (outcome: Outcome) => boolean,
  readySinceMs: () => number,
  onState: (state: BreakerState) => void,
  { failuresMax = 5, apartMs = 1_000, openMs = 10_000 }: BreakerOptions,
): Breaker {
  const opened = { atMs: 0, monotonicMs: 0 }
  const openFor: IBackoff<unknown> = {
    next() {
      Object.assign(opened, { atMs: Date.now(), monotonicMs: performance.now() })
      return openFor
    },
    get duration() {
      return readySinceMs() > opened.monotonicMs ? 0 : openMs
    },
  }
  const circuit = circuitBreaker(
    handleWhenResult((outcome) => isFailure(outcome as Outcome)),
    { halfOpenAfter: openFor, breaker: createRow(failuresMax, apartMs) },
  )
  circuit.onStateChange((state) => onState(STATES[state]))

  return {
    lets() {
      if (circuit.state !== CircuitState.Open) return circuit.state === CircuitState.Closed
      return Date.now() - opened.atMs >= openFor.duration
    },
    async execute(send) {
      // While one message finds out, cockatiel would let the others wait for what it finds.
      if (circuit.state === CircuitState.HalfOpen) return undefined
      try {
        return await circuit.execute(send)
      } catch (error) {
        if (isBrokenCircuitError(error)) return undefined
        throw error
      }
    },
  }
}

/** Counts failures in a row, apart from each other. */
function createRow(failuresMax: number, apartMs: number): IBreaker {
  let failures = 0
  let lastMs = 0
  return {
    state: undefined,
    success() {
      failures = 0
    },
    failure() {
      const now = performance.now()
      if (failures > 0 && now - lastMs < apartMs) return false
      lastMs = now
      failures += 1
      return failures >= failuresMax
    },
  }
}

const STATES: Record<CircuitState, BreakerState> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
  [CircuitState.Isolated]: 'open',
}
