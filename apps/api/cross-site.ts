/**
 * Whether a browser sends a request for a page that is not ours, as `Sec-Fetch-Site` and `Origin` tell. Nobody is logged
 * in here, so what another site could do in a visitor's name is to have a code sent from the visitor's address.
 */
import type { Context } from 'hono'
import { type ApiEnv, headerOf } from './context.ts'

/**
 * The rule of Go's net/http.CrossOriginProtection: `Sec-Fetch-Site` decides where it stands, for a browser writes it
 * and no page can; else Origin must be our own host; a program sends neither. A browser leaves `Sec-Fetch-Site` out only
 * where it is old, or the page comes without TLS from another machine.
 */
export function isCrossSite(c: Context<ApiEnv>): boolean {
  const site = headerOf(c, 'sec-fetch-site')
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  const origin = headerOf(c, 'origin')
  return origin !== undefined && hostOf(origin) !== headerOf(c, 'host')?.toLowerCase()
}

/** `null` is an origin, too: that of a sandboxed frame or a file. It has no host. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
