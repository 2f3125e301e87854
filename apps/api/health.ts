/** `/livez` (the process runs) and `/readyz` (it can do its work right now, or why not). */
import { Hono } from 'hono'
import type { ApiEnv } from './context.ts'

export type Readiness = () => Promise<string | undefined>

export function healthRoutes(readiness: Readiness) {
  const app = new Hono<ApiEnv>()
  app.get('/livez', (c) => c.json({ status: 'alive' }))
  app.get('/readyz', async (c) => {
    const problem = await readiness()
    if (problem === undefined) return c.json({ status: 'ready' })
    return c.json({ status: 'not ready', problems: [problem] }, 503)
  })
  return app
}
