/** `/livez` and `/readyz` of the worker, on a port of their own: alive, and able to send right now. */
import { Hono } from 'hono'
import type { Provider } from '#providers/provider.ts'

export function createHealth(deps: {
  redisProblem: () => Promise<string | undefined>
  provider: Provider
  stopping: () => boolean
}) {
  const app = new Hono()
  app.get('/livez', (c) => c.json({ status: 'alive' }))
  app.get('/readyz', async (c) => {
    const problems = [await deps.redisProblem(), providerProblem(deps.provider)].filter(
      (p) => p !== undefined,
    )
    if (deps.stopping()) problems.push('stopping')
    return problems.length === 0
      ? c.json({ status: 'ready' })
      : c.json({ status: 'not ready', problems }, 503)
  })
  return app
}

function providerProblem(provider: Provider): string | undefined {
  const status = provider.status()
  return status === 'ready' ? undefined : `provider_${status}`
}
