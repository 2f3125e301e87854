/** The Idempotency-Key header: what may stand in it. The store remembers what it meant. */
import type { Context } from 'hono'
import { type ApiEnv, headerOf } from './context.ts'
import { problem } from './problem.ts'

const KEY_LONGEST = 255

/** The key, if one was sent; a response when it is none that can be honoured. */
export function readIdempotencyKey(c: Context<ApiEnv>): { idempotencyKey?: string } | Response {
  const key = headerOf(c, 'idempotency-key')
  if (key === undefined) return {}
  if (/^[!-~]{1,255}$/.test(key)) return { idempotencyKey: key }
  const expected = `must be 1 to ${KEY_LONGEST} printable ASCII characters without spaces`
  return problem(c, 'invalid_request', { errors: [{ field: 'Idempotency-Key', problem: expected }] })
}
