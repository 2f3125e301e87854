/** What a worker tells Prometheus, beside its health checks. */
import type { Counted, Metrics } from '#runtime/metrics.ts'
import type { ProviderState } from './providers.ts'

const ATTEMPT_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** To the last moment of the longest code. */
const ACCEPTED_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 600]

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
  const accepted = metrics.durations(
    {
      name: 'accepted_after_seconds',
      help: 'Time from the order of a send to its message being accepted by a provider',
      labels: [],
    },
    ACCEPTED_SECONDS,
  )
  const unsent = metrics.counter({
    name: 'sends_unsent_total',
    help: 'Sends that ended without a message: too late, or the number said STOP',
    labels: ['reason'],
  })
  for (const reason of ['not_sent_in_time', 'recipient_opted_out']) unsent({ reason }, 0)
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
    help: 'Tries to tell the receiver an event, and events that are told no more',
    labels: ['event', 'result'],
  })

  return {
    attempt({ provider, outcome, reason, queued_ms = 0, duration_ms = 0 }) {
      attempts({ provider, outcome, reason })
      durations({ provider, outcome }, duration_ms)
      if (outcome === 'accepted') accepted({}, queued_ms + duration_ms)
    },
    'ended unsent': ({ reason, count }) => unsent({ reason }, count),
    'second message refused': ({ application, refusal, limit }) => refusals({ application, refusal, limit }),
    answer: ({ keyword, outcome }) => answers({ keyword, outcome }),
    'event taken': ({ event }) => events({ event, result: 'taken' }),
    'event not taken': ({ event }) => events({ event, result: 'not_taken' }),
    'event given up': ({ event }) => events({ event, result: 'given_up' }),
    'the receiver wants no more events': ({ event }) => events({ event, result: 'gone' }),
    'event dropped': ({ event }) => events({ event, result: 'dropped' }),
    'events dropped': ({ count }) => events({ event: undefined, result: 'dropped' }, count),
  }
}

/** What is looked up when Prometheus asks. `states`: of each provider, whether it is ready, and whether it is left alone. */
export function watchWorker(
  metrics: Metrics,
  deps: {
    isReady: () => Promise<boolean>
    canSend: () => boolean
    states: () => readonly ProviderState[]
    jobs: () => Promise<Readonly<Record<string, number>>>
    events: (() => Promise<number>) | undefined
  },
): void {
  const { isReady, canSend, states, jobs, events } = deps
  const each = (is: (state: ProviderState) => boolean) => async () =>
    Object.fromEntries(states().map((state) => [state.name, Number(is(state))]))
  metrics.value('ready', 'As /readyz', isReady)
  metrics.value(
    'provider_can_send',
    'Whether a provider of this worker can send, so that it takes jobs',
    canSend,
  )
  metrics.values(
    { name: 'provider_ready', help: 'Whether a send would be written now', labels: ['provider'] },
    each(({ ready }) => ready),
  )
  metrics.values(
    { name: 'provider_left_alone', help: 'Whether its breaker lets nothing through', labels: ['provider'] },
    each(({ leftAlone }) => leftAlone),
  )
  metrics.values(
    { name: 'jobs', help: 'Jobs of all workers in the queue of deliveries, by state', labels: ['state'] },
    jobs,
  )
  if (events)
    metrics.value('events_waiting', 'Events of all workers in the queue that wait to be told', events)
}
