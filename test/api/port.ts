/** The API on a real port, through the server it runs on, closed when the test ends. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { App } from '#api/app.ts'
import { createApiServer, SERVER_LIMITS, type ServerLimits } from '#api/server.ts'
import type { Log } from '#runtime/log.ts'
import { silentLog } from '#test/fixtures/redis.ts'

type Options = { limits?: Partial<ServerLimits>; log?: Log; host?: string }

export async function listen(
  app: Pick<App, 'fetch'>,
  { limits, log = silentLog, host = '127.0.0.1' }: Options = {},
): Promise<{ origin: string; port: number }> {
  const server = createApiServer({
    fetch: app.fetch,
    hostname: host,
    production: false,
    limits: { ...SERVER_LIMITS, connectionsMax: 100, ...limits },
    log,
  })
  server.listen(0, host)
  await once(server, 'listening')
  onTestFinished(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, port }
}
