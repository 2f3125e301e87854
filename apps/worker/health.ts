/** The worker's port: `/livez` and `/readyz` (alive, and able to send right now), and `/metrics`. */
import { Hono } from 'hono'
import type { Provider } from '#providers/provider.ts'
import type { Metrics } from '#runtime/metrics.ts'

export function createHealth(deps: {
  redisProblem: () => Promise<string | undefined>
  provider: Pick<Provider, 'status'>
  stopping: () => boolean
  metrics: Pick<Metrics, 'answer'>
}) {
  const app = new Hono()

  async function problems(): Promise<string[]> {
    const found = [await deps.redisProblem(), providerProblem(deps.provider)].filter((p) => p !== undefined)
    return deps.stopping() ? [...found, 'stopping'] : found
  }

  app.get('/livez', (c) => c.json({ status: 'alive' }))
  app.get('/readyz', async (c) => {
    const found = await problems()
    return found.length === 0
      ? c.json({ status: 'ready' })
      : c.json({ status: 'not ready', problems: found }, 503)
  })
  app.get('/metrics', deps.metrics.answer)
  return { app, problems }
}

function providerProblem(provider: Pick<Provider, 'status'>): string | undefined {
  const status = provider.status()
  return status === 'ready' ? undefined : `provider_${status}`
}
