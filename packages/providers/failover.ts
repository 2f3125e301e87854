/**
 * Several providers in an order, as one. The next is asked only when the one before is known not to have sent, so a
 * failover never makes a second message. One that is not ready is passed over. One that keeps failing although it is ready
 * is left alone for a while by its circuit breaker, and then tried with a single message: when that goes through,
 * everything goes its way again.
 */
import { msBetween } from '#verification/moment.ts'
import type { Outcome, OutcomeReason } from '#verification/outcome.ts'
import { type BreakerOptions, type BreakerState, createBreaker } from './breaker.ts'
import { momentNow } from './clock.ts'
import { type Findings, type Message, NOT_OURS, notSent, type Provider, type Road } from './provider.ts'

export type FailoverOptions = BreakerOptions & {
  /** In the order they are asked in; at least one. */
  providers: readonly Road[]
  onBreaker?(provider: string, state: BreakerState): void
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

/** A provider that hangs or loses its answers is as down as one that refuses everything. */
const isFailure = (outcome: Outcome) => movesOn(outcome) || outcome.kind === 'unknown'

/** @returns also, of each by its name, whether its breaker lets nothing through now */
export function createFailover(
  options: FailoverOptions,
): Provider & { leavesAlone(provider: string): boolean } {
  const { onBreaker, budgetMs = 8_000 } = options
  const ways = options.providers.map((provider) => {
    const say = (state: BreakerState) => onBreaker?.(provider.name, state)
    return { provider, breaker: createBreaker(isFailure, provider.readySinceMs, say, options) }
  })

  /** Undefined when the breaker lets nothing through. One that cannot send is not asked, and that is no failure. */
  async function ask({ provider, breaker }: (typeof ways)[number], message: Message, signal: AbortSignal) {
    const outcome = provider.canSend()
      ? await breaker.execute(() => provider.send(message, signal))
      : notSent(provider.status())
    return outcome && { ...outcome, provider: provider.name }
  }

  return {
    name: 'failover',
    channels: [...new Set(options.providers.flatMap(({ channels }) => channels))],
    status() {
      const statuses = ways.map(({ provider }) => provider.status())
      return statuses.find((status) => status === 'ready') ?? statuses[0] ?? 'closed'
    },
    leavesAlone: (name) => ways.some(({ provider, breaker }) => provider.name === name && !breaker.lets()),
    canSend: () => ways.some(({ provider, breaker }) => provider.canSend() && breaker.lets()),
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
