/**
 * The HTTP surface: middleware in order, then the routes. createApp(deps) builds it and importing it does nothing.
 */
import { randomUUID } from 'node:crypto'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Destinations } from '#store/destinations.ts'
import { StoreFault } from '#store/script.ts'
import type { Verifications } from '#store/verifications.ts'
import { createObjectionTo } from '#verification/objection.ts'
import type { SendReference } from '#verification/verification.ts'
import { limitBody } from './body.ts'
import { type CallbackDeps, callbackRoutes } from './callbacks.ts'
import { requireCaller } from './caller.ts'
import type { Challenger } from './challenger.ts'
import { checkRoutes } from './checks.ts'
import { type ClientIpOf, createClientIpOf } from './client-ip.ts'
import type { ApiConfig } from './config.ts'
import type { ApiEnv } from './context.ts'
import { destinationRoutes } from './destination-routes.ts'
import { createReadDestination } from './destinations.ts'
import { guideFault, guideRoutes } from './guide.ts'
import { completeHeaders, headersOf } from './headers.ts'
import { healthRoutes, type Readiness } from './health.ts'
import type { KeyRing } from './key-ring.ts'
import { OPENAPI } from './openapi.ts'
import { problem } from './problem.ts'
import { createResend, createStart } from './starting.ts'
import type { Streams } from './streams.ts'
import { verificationRoutes } from './verifications.ts'

export type AppConfig = Pick<
  ApiConfig,
  | 'production'
  | 'publicForm'
  | 'pythonRoutes'
  | 'formChallenge'
  | 'regions'
  | 'country'
  | 'trustedProxies'
  | 'lists'
  | 'callbacks'
  | 'channels'
>

export type AppDeps = CallbackDeps & {
  config: AppConfig
  ring: KeyRing
  verifications: Verifications
  challenger: Challenger
  destinations: Destinations
  streams: Streams
  enqueue: (send: SendReference) => void
  readiness: Readiness
  formAnswerMs: number
  log: Log
}

export type App = Hono<ApiEnv>

export function createApp(deps: AppDeps): App {
  const { config } = deps
  const clientIpOf = createClientIpOf(config.trustedProxies)
  const alarm = (rule: string) => warnOf(rule, deps.log)
  const parts = {
    ...deps,
    ...config,
    readDestination: createReadDestination(config.regions, config.lists.tests),
    start: createStart({ ...deps, lists: config.lists, alarm }),
    resend: createResend({ ...deps, objectionTo: createObjectionTo(config), alarm }),
    alarm,
  }
  const app = new Hono<ApiEnv>()
  app.use(aroundRequest(deps, clientIpOf))

  app.route('/', healthRoutes(deps.readiness))
  app.get('/openapi.json', (c) => c.body(OPENAPI, 200, { 'Content-Type': 'application/json' }))
  if (config.publicForm) app.route('/', guideRoutes(parts))
  if (config.callbacks) app.route('/', callbackRoutes(config.callbacks, deps))
  app.use('/v1/*', requireCaller(deps.ring), limitBody())
  app.route('/v1/verifications', verificationRoutes(parts))
  app.route('/v1', checkRoutes(parts))
  app.route('/v1/destinations', destinationRoutes(parts))

  refuseOtherMethods(app)
  app.notFound((c) => problem(c, 'not_found'))
  app.onError((error, c) => answerFault(error, c, deps.log))
  return app
}

/**
 * Names a request, sees to the headers of its answer, and writes its one log line, whatever came of it. The path in the
 * line is the route's pattern: a caller may write anything into a path.
 */
function aroundRequest({ config, log }: AppDeps, clientIpOf: ClientIpOf): MiddlewareHandler<ApiEnv> {
  const fixed = headersOf(config.production)
  return async (c, next) => {
    const startedAt = performance.now()
    const requestId = randomUUID()
    c.set('requestId', requestId)
    c.set('clientIp', clientIpOf(c))
    c.set('headers', { ...fixed, 'X-Request-Id': requestId })
    await next()
    completeHeaders(c)
    log[levelOf(c)](
      {
        request_id: requestId,
        method: c.req.method,
        route: routePath(c, -1),
        status: c.res.status,
        duration_ms: Math.round((performance.now() - startedAt) * 10) / 10,
        client_ip: c.get('clientIp'),
        application: c.get('application'),
        api_key: c.get('apiKey'),
        verification: c.get('verification'),
        destination: c.get('destination'),
        refusal: c.get('refusal'),
        limit: c.get('limit'),
        explain: c.get('explain'),
        reason: c.get('reason'),
        result: c.get('result'),
      },
      'request',
    )
  }
}

/** Four fifths of a shared budget are used. */
function warnOf(rule: string, log: Log): void {
  log.warn({ limit: rule }, 'a limit is nearly reached')
}

/** Health checks come every few seconds and say nothing new. */
function levelOf(c: Context<ApiEnv>): 'debug' | 'info' | 'warn' {
  if (c.res.status >= 500) return 'warn'
  return c.req.path === '/livez' || c.req.path === '/readyz' ? 'debug' : 'info'
}

/** Every address that exists takes only its own methods, and says which. */
function refuseOtherMethods(app: App): void {
  const methods = new Map<string, Set<string>>()
  for (const { path, method } of app.routes) {
    if (method === 'ALL') continue
    methods.set(path, (methods.get(path) ?? new Set()).add(method))
  }
  for (const [path, allowed] of methods) {
    if (allowed.has('GET')) allowed.add('HEAD')
    app.all(path, (c) => {
      return problem(c, 'method_not_allowed', { headers: { Allow: [...allowed].join(', ') } })
    })
  }
}

/** The one place where what is broken becomes an answer: no stack, no quotation, and Redis being away is a 503. */
function answerFault(error: Error, c: Context<ApiEnv>, log: Log): Response | Promise<Response> {
  const away = error instanceof StoreFault
  const cause = away ? error.cause : error
  log.error(
    { request_id: c.get('requestId'), fault: faultName(cause), stack: away ? undefined : error.stack },
    away ? 'Redis did not answer' : 'a request failed',
  )
  if (c.req.path === '/request-auth' || c.req.path === '/validate-auth')
    return guideFault(c, away ? 503 : 500)
  return away ? problem(c, 'service_unavailable', { retryAfterMs: 1_000 }) : problem(c, 'internal_fault')
}
