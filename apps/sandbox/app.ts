/** Every HTTP route of the sandbox on one app: SignalWire's REST, the sandbox's own API, health and the inbox page. */
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { compatibilityApi } from './compatibility-api.ts'
import { inboxPage } from './inbox-page.ts'
import { jsonApi } from './json-api.ts'
import { messagesApi } from './messages-api.ts'
import type { RestEnv, RestParts } from './order.ts'

/** 64 KiB: far above the longest message with a callback, far below what hurts. */
const BODY_BYTES_MAX = 64 * 1_024

/** @param onFault told of what a handler threw unexpectedly, which is answered with a bare 500 */
export function createApp(parts: RestParts, onFault: (error: Error) => void): Hono<RestEnv> {
  const app = new Hono<RestEnv>()
  app.use(bodyLimit({ maxSize: BODY_BYTES_MAX, onError: (c) => c.json({ error: 'Payload Too Large' }, 413) }))
  for (const path of ['/livez', '/readyz']) app.get(path, (c) => c.text('ok'))
  app.route('/api', messagesApi(parts))
  app.route('/', compatibilityApi(parts))
  app.route('/', jsonApi(parts))
  app.route('/', inboxPage(parts))
  app.notFound((c) => c.json({ error: 'Not Found' }, 404))
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse()
    onFault(error)
    return c.json({ error: 'Internal Server Error' }, 500)
  })
  return app
}
