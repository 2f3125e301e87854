/**
 * Who calls, and what they may do: an API key names its application and its scopes. Who is settled before a body is
 * read, and both before a caller learns what exists.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { type ApiKey, SCOPES, type Scope } from '#verification/api-key.ts'
import { type Application, FORM_APPLICATION } from '#verification/verification.ts'
import { type ApiEnv, headerOf } from './context.ts'
import type { KeyRing } from './key-ring.ts'
import { problem } from './problem.ts'

/** Everything belongs to it where there are no API keys. */
export const DEFAULT_APPLICATION = 'default' as Application

type Caller = Pick<ApiKey, 'application' | 'scopes' | 'id'> & Partial<Pick<ApiKey, 'digest'>>

const ANYBODY: Caller = { application: DEFAULT_APPLICATION, scopes: SCOPES }
/** Nobody else could be asked for what the page knows of a number. */
const ANYBODYS: readonly Application[] = [DEFAULT_APPLICATION, FORM_APPLICATION]

/** While the keys of Redis have never been read, a key that is not known is answered 503: it may be a good one. */
export function requireCaller(ring: KeyRing): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const caller = callerOf(ring, headerOf(c, 'authorization'))
    if (caller === undefined) {
      if (!ring.isComplete()) return problem(c, 'service_unavailable', { retryAfterMs: 1_000 })
      return problem(c, 'unauthorized', { headers: { 'WWW-Authenticate': 'Bearer' } })
    }
    c.set('application', caller.application)
    c.set('administered', caller === ANYBODY ? ANYBODYS : [caller.application])
    c.set('scopes', caller.scopes)
    c.set('apiKey', caller.id)
    c.set('stillMay', (scope) => stillMay(ring, caller, scope))
    return await next()
  }
}

function callerOf(ring: KeyRing, authorization = ''): Caller | undefined {
  if (ring.isOpen()) return ANYBODY
  const key = /^Bearer ([!-~]+)$/i.exec(authorization)?.[1]
  return key === undefined ? undefined : ring.find(key)
}

/** Of an answer that goes on: a key may be revoked meanwhile, or lose a scope, and an open door be closed. */
function stillMay(ring: KeyRing, { application, digest }: Caller, scope: Scope): boolean {
  if (digest === undefined) return ring.isOpen()
  const now = ring.findAgain({ digest })
  return now?.application === application && now.scopes.includes(scope)
}

/** For every route of `/v1`, before its own function: what a key must be allowed to do to come this far. */
export function requireScope(scope: Scope): MiddlewareHandler<ApiEnv> {
  return async (c, next) => (c.get('scopes').includes(scope) ? await next() : lacks(c, scope))
}

/** RFC 6750 §3.1. */
function lacks(c: Context<ApiEnv>, scope: Scope): Response {
  const challenge = `Bearer error="insufficient_scope", scope="${scope}"`
  return problem(c, 'insufficient_scope', { scope, headers: { 'WWW-Authenticate': challenge } })
}
