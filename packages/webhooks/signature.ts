/**
 * Signs a webhook as Standard Webhooks has it: HMAC-SHA256 over `id.timestamp.body`, one signature for each secret, so
 * that a receiver may change its secret at any time during a rotation.
 */
import { createHmac } from 'node:crypto'

const PREFIX = 'whsec_'
const BYTES_LEAST = 24
const BYTES_MOST = 64

/** `whsec_` and 24 to 64 random bytes in base64; `undefined` for anything else. */
export function parseSecret(text: string): Buffer | undefined {
  if (!/^whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined
  const secret = Buffer.from(text.slice(PREFIX.length), 'base64')
  return secret.length >= BYTES_LEAST && secret.length <= BYTES_MOST ? secret : undefined
}

export type Signed = { id: string; atMs: number; body: string }

export function signedHeaders(
  { id, atMs, body }: Signed,
  secrets: readonly Buffer[],
): Record<string, string> {
  const timestamp = String(Math.floor(atMs / 1000))
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  )
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
