/**
 * The headers every answer carries (OWASP ASVS 5.0 §3.4, §14.3.2): nothing is cached, framed, sniffed or run. The
 * page's style is its only resource, but for a page that shows a challenge.
 */
import type { Context } from 'hono'
import type { ApiEnv } from './context.ts'

const YEAR_S = 31_536_000

const SOURCES = {
  'default-src': "'none'",
  'style-src': "'self'",
  'img-src': 'data:',
  'form-action': "'self'",
  'base-uri': "'none'",
  'frame-ancestors': "'none'",
}
const POLICY = policyOf(SOURCES)

function policyOf(sources: Readonly<Record<string, string>>): string {
  return Object.entries(sources)
    .map(([directive, source]) => `${directive} ${source}`)
    .join('; ')
}

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

/** Lets the page of this one answer bring more than its style: `more` names sources by directive. */
export function openPolicy(c: Context<ApiEnv>, more: Readonly<Record<string, string>>): void {
  const style = more['style-src'] ? { 'style-src': `${SOURCES['style-src']} ${more['style-src']}` } : {}
  const policy = policyOf({ ...SOURCES, ...more, ...style })
  c.set('headers', { ...c.get('headers'), 'Content-Security-Policy': policy })
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
