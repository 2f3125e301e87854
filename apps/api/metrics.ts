/** What the API tells Prometheus, on a port of its own: nobody who may ask for a code need be able to read it. */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import type { LogFields } from '#runtime/log.ts'
import type { Counted, Metrics } from '#runtime/metrics.ts'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** What the API serves; whatever else a caller makes up is one. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'])
/** Whose result is the verdict of a check. */
const CHECK_ROUTE = /^\/v1\/.*checks$|^\/validate-auth$/

export function countedByApi(metrics: Metrics): Counted {
  const requests = metrics.durations(
    {
      name: 'request_duration_seconds',
      help: 'Time from a request to its answer',
      labels: ['method', 'route', 'status'],
    },
    SECONDS,
  )
  const refusals = metrics.counter({
    name: 'refusals_total',
    help: 'Requests that were refused, by code and, where one spoke, limit',
    labels: ['application', 'refusal', 'limit'],
  })
  const checks = metrics.counter({
    name: 'checks_total',
    help: 'Checks of a code, by verdict',
    labels: ['application', 'result'],
  })
  const refused = metrics.counter({
    name: 'refused_before_request_total',
    help: 'What never became a request: too large, too slow, malformed, or one connection too many',
    labels: ['reason'],
  })

  function request({
    method = '',
    route = '',
    status,
    duration_ms = 0,
    application,
    ...said
  }: LogFields): void {
    requests({ method: METHODS.has(method) ? method : 'other', route, status }, duration_ms)
    const { refusal, limit, result } = said
    if (refusal !== undefined) refusals({ application, refusal, limit })
    else if (result !== undefined && CHECK_ROUTE.test(route)) checks({ application, result })
  }

  return {
    request,
    'refused before it was a request': ({ reason }) => refused({ reason }),
    'connections refused, there are MAX_CONNECTIONS of them': ({ count }) =>
      refused({ reason: 'too_many_connections' }, count),
  }
}

export function serveMetrics(
  metrics: Pick<Metrics, 'answer'>,
  place: { hostname: string; port: number },
  onListening: Parameters<typeof serve>[1],
) {
  const app = new Hono()
  app.get('/metrics', metrics.answer)
  return serve({ fetch: app.fetch, ...place }, onListening)
}
