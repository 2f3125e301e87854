/**
 * Several providers in an order, as one. The next is asked only when the one before is known not to have sent, so a
 * failover never makes a second message. One that keeps failing is left alone for a while by its circuit breaker, and
 * then tried with a single message: when that goes through, everything goes its way again.
 */
import {
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhenResult,
  isBrokenCircuitError,
} from 'cockatiel'
import { msBetween } from '#verification/moment.ts'
import type { Outcome, OutcomeReason } from '#verification/outcome.ts'
import { momentNow } from './clock.ts'
import { type Findings, type Message, NOT_OURS, type Provider } from './provider.ts'

/** `open`: left alone. `half_open`: one message is on its way to find out. `closed`: as usual. */
type BreakerState = 'open' | 'half_open' | 'closed'

export type FailoverOptions = {
  /** In the order they are asked in; at least one. */
  providers: readonly Provider[]
  onBreaker?(provider: string, state: BreakerState): void
  /** Failures in a row that open a breaker. Default 5. */
  failuresMax?: number
  /** How long an open one stays so. Default 10 s. */
  openMs?: number
  /** For all providers of one send together; below the lease of an attempt. Default 8 s, what one alone may take. */
  budgetMs?: number
}

/** Less is not enough for a request to anybody. */
const WORTHWHILE_MS = 500

/** Not sent, and somebody else may fare better. A rate, a balance and a bad number are the same by every road. */
const MOVES_ON: ReadonlySet<OutcomeReason> = new Set([
  'not_connected',
  'credentials_refused',
  'misconfigured',
  'provider_fault',
])

function movesOn(outcome: Outcome): boolean {
  return outcome.kind === 'busy' && MOVES_ON.has(outcome.reason)
}

/** A provider that hangs or loses its answers is as down as one that cannot be reached. */
const isFailure = (outcome: Outcome) => movesOn(outcome) || outcome.kind === 'unknown'

export function createFailover(options: FailoverOptions): Provider {
  const { onBreaker, failuresMax = 5, openMs = 10_000, budgetMs = 8_000 } = options
  const ways = options.providers.map((provider) => {
    const breaker = circuitBreaker(
      handleWhenResult((outcome) => isFailure(outcome as Outcome)),
      {
        halfOpenAfter: openMs,
        breaker: new ConsecutiveBreaker(failuresMax),
      },
    )
    breaker.onStateChange((state) => onBreaker?.(provider.name, STATES[state]))
    return { provider, breaker }
  })

  /** Undefined when the breaker lets nothing through. */
  async function ask(way: (typeof ways)[number], message: Message, signal: AbortSignal) {
    // While one message finds out, cockatiel would let the others wait for what it finds.
    if (way.breaker.state === CircuitState.HalfOpen) return undefined
    try {
      const outcome = await way.breaker.execute(() => way.provider.send(message, signal))
      return { ...outcome, provider: way.provider.name }
    } catch (error) {
      if (isBrokenCircuitError(error)) return undefined
      throw error
    }
  }

  return {
    name: 'failover',
    channels: [...new Set(options.providers.flatMap(({ channels }) => channels))],
    status() {
      const statuses = ways.map(({ provider }) => provider.status())
      return statuses.find((status) => status === 'ready') ?? statuses[0] ?? 'closed'
    },
    async send(message: Message, signal: AbortSignal): Promise<Outcome> {
      const startedAt = momentNow()
      const able = ways.filter(({ provider }) => provider.channels.includes(message.channel))
      let last: Outcome = able.length === 0 ? NOT_OURS : { kind: 'busy', reason: 'not_connected' }
      for (const [index, way] of able.entries()) {
        const leftMs = budgetMs - msBetween(startedAt, momentNow())
        if (signal.aborted || leftMs < WORTHWHILE_MS) break
        const limited =
          index === 0 ? signal : AbortSignal.any([signal, AbortSignal.timeout(Math.floor(leftMs))])
        const outcome = await ask(way, message, limited)
        if (!outcome) continue
        if (!movesOn(outcome)) return outcome
        last = outcome
      }
      return last
    },
    async find(message, sinceMs, signal): Promise<Findings> {
      const logs = ways.flatMap(({ provider }) => (provider.find ? [provider] : []))
      let findings: Findings = logs.length === 0 ? 'unknowable' : 'absent'
      for (const provider of logs) {
        const said = (await provider.find?.(message, sinceMs, signal)) ?? 'unknowable'
        if (typeof said === 'object') return { ...said, provider: provider.name }
        if (said === 'unknowable') findings = said
      }
      return findings
    },
    async close() {
      await Promise.all(ways.map(({ provider }) => provider.close()))
    },
  }
}

const STATES: Record<CircuitState, BreakerState> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
  [CircuitState.Isolated]: 'open',
}
