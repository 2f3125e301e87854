/** What a worker tells Prometheus, beside its health checks. */
import type { Counted, Metrics } from '#runtime/metrics.ts'

const ATTEMPT_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** To the last moment of the longest code. */
const QUEUED_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 600]

export function countedByWorker(metrics: Metrics): Counted {
  const attempts = metrics.counter({
    name: 'attempts_total',
    help: 'Attempts at a send, by what they came to',
    labels: ['provider', 'outcome', 'reason'],
  })
  const durations = metrics.durations(
    {
      name: 'attempt_duration_seconds',
      help: 'Time an attempt took with its provider',
      labels: ['provider', 'outcome'],
    },
    ATTEMPT_SECONDS,
  )
  const queued = metrics.durations(
    {
      name: 'first_attempt_wait_seconds',
      help: 'Time from the order of a send to its first attempt',
      labels: [],
    },
    QUEUED_SECONDS,
  )
  const refusals = metrics.counter({
    name: 'second_messages_refused_total',
    help: 'Second messages of a send that a shared limit had no room for',
    labels: ['application', 'refusal', 'limit'],
  })
  const answers = metrics.counter({
    name: 'keyword_answers_total',
    help: 'Attempts to answer a STOP, START or HELP; an outcome that is empty: it was not to leave',
    labels: ['keyword', 'outcome'],
  })
  const events = metrics.counter({
    name: 'events_total',
    help: 'Tries to tell the receiver an event',
    labels: ['event', 'result'],
  })
  const statuses = new Map<string, string>()
  const breakers = new Map<string, string>()
  watchProviders(metrics, statuses, breakers)

  return {
    attempt({ provider, outcome, reason, attempt, queued_ms = 0, duration_ms = 0 }) {
      attempts({ provider, outcome, reason })
      durations({ provider, outcome }, duration_ms)
      if (attempt === 1) queued({}, queued_ms)
    },
    'second message refused': ({ application, refusal, limit }) => refusals({ application, refusal, limit }),
    answer: ({ keyword, outcome }) => answers({ keyword, outcome }),
    'event taken': ({ event }) => events({ event, result: 'taken' }),
    'event not taken': ({ event }) => events({ event, result: 'not_taken' }),
    'event given up': ({ event }) => events({ event, result: 'given_up' }),
    provider({ provider = '', result = '' }) {
      const [, breaker] = /^breaker_(.+)$/.exec(result) ?? []
      if (breaker === undefined) statuses.set(provider, result)
      else breakers.set(provider, breaker)
    },
  }
}

function watchProviders(
  metrics: Metrics,
  statuses: ReadonlyMap<string, string>,
  breakers: ReadonlyMap<string, string>,
): void {
  const holds = (states: ReadonlyMap<string, string>, what: string) => async () =>
    Object.fromEntries([...states].map(([provider, state]) => [provider, Number(state === what)]))
  metrics.values(
    { name: 'provider_ready', help: 'Whether a send would be written now', labels: ['provider'] },
    holds(statuses, 'ready'),
  )
  metrics.values(
    { name: 'provider_breaker_open', help: 'Whether it is left alone for a while', labels: ['provider'] },
    holds(breakers, 'open'),
  )
}
