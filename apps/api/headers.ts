/**
 * The headers every answer carries (OWASP ASVS 5.0 §3.4, §14.3.2): nothing is cached, framed, sniffed or run. The
 * page's style is its only resource.
 */
import { ServerResponse } from 'node:http'
import type { Context, MiddlewareHandler } from 'hono'
import type { ApiEnv } from './context.ts'

const YEAR_S = 31_536_000

const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

function headersOf(production: boolean): Readonly<Record<string, string>> {
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': POLICY,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    ...(production ? { 'Strict-Transport-Security': `max-age=${YEAR_S}; includeSubDomains` } : {}),
  }
}

export function setHeaders(production: boolean): MiddlewareHandler<ApiEnv> {
  const headers = Object.entries(headersOf(production))
  return async (c, next) => {
    const set = setterOf(c)
    for (const [name, value] of headers) set(name, value)
    set('X-Request-Id', c.get('requestId'))
    await next()
  }
}

/** Node's own response takes a header in a tenth of the time that a Headers object does, and there are nine a request. */
function setterOf(c: Context<ApiEnv>): (name: string, value: string) => void {
  const outgoing = c.env?.outgoing
  if (outgoing instanceof ServerResponse) return (name, value) => outgoing.setHeader(name, value)
  return (name, value) => c.header(name, value)
}
