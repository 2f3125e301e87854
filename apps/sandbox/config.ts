/** The sandbox's environment, read once: a config, or everything that is wrong with it, by name and never by value. */
import { isLoopback } from './callbacks.ts'
import { LATENCY_MS_MAX, parseLatencyMs } from './settings.ts'

export type Config = { host: string; port: number; latencyMs: number; signingKey: string; inboundUrl: string }

type Env = Readonly<Record<string, string | undefined>>

/** An empty variable counts as unset. @returns `problems` when there is at least one. */
export function readConfig(env: Env): { config: Config } | { problems: string[] } {
  const problems: string[] = []
  const set = (name: string, fallback: string) => env[name]?.trim() || fallback

  const portText = set('SANDBOX_PORT', '3001')
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : -1
  if (port < 0 || port > 65_535)
    problems.push('SANDBOX_PORT must be a port from 0 to 65535 (0: any free one)')

  const latencyMs = parseLatencyMs(set('SANDBOX_LATENCY_MS', '0'))
  if (latencyMs === undefined) {
    problems.push(`SANDBOX_LATENCY_MS must be a whole number from 0 to ${LATENCY_MS_MAX}`)
  }

  const host = set('SANDBOX_HOST', '127.0.0.1')
  if (/[\s/:]/.test(host.replace(/^[\da-f:]+$/i, ''))) {
    problems.push('SANDBOX_HOST must be an address or a host name, without scheme or port')
  }

  const inboundUrl = set('SANDBOX_INBOUND_URL', '')
  if (inboundUrl !== '' && !isLoopback(inboundUrl)) {
    problems.push('SANDBOX_INBOUND_URL must be an http:// address of this machine')
  }

  if (problems.length > 0 || latencyMs === undefined) return { problems }
  const signingKey = set('SANDBOX_SIGNING_KEY', 'sandbox')
  return { config: { host, port, latencyMs, signingKey, inboundUrl } }
}
