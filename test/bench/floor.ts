/** The floor every ratio stands on: a bare Hono server that reads the same body and answers the same JSON. */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'

const started = {
  id: '7e854630-6b81-45b2-a401-95f0dd4224dc',
  to: '+*******0100',
  channel: 'sms',
  locale: 'en',
  purpose: 'default',
  status: 'pending',
  delivery: { status: 'queued', send: 1, attempts: 0, updated_at: '2026-11-24T12:00:00.000Z' },
  created_at: '2026-11-24T12:00:00.000Z',
  expires_at: '2026-11-24T12:05:00.000Z',
  next_send_at: '2026-11-24T12:00:30.000Z',
  sends_left: 3,
  checks_left: 5,
}
const checked = { verification: started.id, result: 'approved', checks_left: 5 }
const refused = {
  type: 'urn:sms-two-factor-auth:problem:resend_cooldown',
  title: 'A code was sent a moment ago. Wait before asking for another.',
  status: 429,
  code: 'resend_cooldown',
  retry_after: 30,
}

const app = new Hono()
app.get('/readyz', (c) => c.json({ status: 'ready' }))
app.post('/started', async (c) => {
  await c.req.json()
  return c.json(started, 202)
})
app.post('/checked', async (c) => {
  await c.req.json()
  return c.json(checked)
})
app.post('/refused', async (c) => {
  await c.req.json()
  return c.json(refused, 429)
})
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT) })
process.on('SIGTERM', () => server.close(() => process.exit(0)))
