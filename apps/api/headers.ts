/**
 * The headers every answer carries (OWASP ASVS 5.0 §3.4, §14.3.2): nothing is cached, framed, sniffed or run. The
 * page's style is its only resource.
 */
import type { Context } from 'hono'
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

export function headersOf(production: boolean): Readonly<Record<string, string>> {
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': POLICY,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    // `no-referrer` would turn the Origin of our own forms into `null` (Fetch, "append a request Origin header").
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    ...(production ? { 'Strict-Transport-Security': `max-age=${YEAR_S}; includeSubDomains` } : {}),
  }
}

/** Puts the headers on an answer that was not made by answerJson. */
export function completeHeaders(c: Context<ApiEnv>): void {
  if (c.res === c.get('answer')) return
  for (const [name, value] of Object.entries(c.get('headers'))) c.res.headers.set(name, value)
}

/**
 * A JSON answer with every header in one plain object: the server writes such an answer as it stands, where a Headers
 * object filled one by one costs as much as the rest of the answer.
 */
export function answerJson(
  c: Context<ApiEnv>,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const answer = new Response(JSON.stringify(body), {
    status,
    headers: { ...c.get('headers'), 'Content-Type': 'application/json', ...headers },
  })
  c.set('answer', answer)
  return answer
}
