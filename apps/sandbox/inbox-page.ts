/**
 * The inbox page and its files, served so that they work without JavaScript and load nothing from anywhere else; and
 * the forms on it.
 */
import { readFileSync } from 'node:fs'
import { Hono, type MiddlewareHandler } from 'hono'
import { csrf } from 'hono/csrf'
import { SHOWN_MAX } from './changes.ts'
import { inboxHtml } from './inbox-html.ts'
import { emptyInbox, phoneIn } from './messages-api.ts'
import type { RestParts } from './order.ts'
import { parseLatencyMs } from './settings.ts'
import { viewOf } from './view.ts'

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

const secured: MiddlewareHandler = async (c, next) => {
  await next()
  c.header('content-security-policy', POLICY)
  c.header('x-content-type-options', 'nosniff')
  c.header('referrer-policy', 'same-origin')
  c.header('cache-control', 'no-store')
}

const FILES = [
  { name: 'inbox.css', type: 'text/css; charset=utf-8' },
  { name: 'inbox.js', type: 'text/javascript; charset=utf-8' },
  { name: 'icon.svg', type: 'image/svg+xml' },
].map((file) => ({ ...file, text: readFileSync(new URL(`page/${file.name}`, import.meta.url), 'utf8') }))

export function inboxPage({ inbox, answers, carrier, settings }: RestParts): Hono {
  const page = new Hono()

  page.get('/', secured, (c) => {
    const phone = phoneIn(c)
    const messages = inbox.list({ phone, answers: true, limit: SHOWN_MAX }).map(viewOf)
    return c.html(inboxHtml({ messages, phone, latencyMs: settings.latencyMs }))
  })

  for (const { name, type, text } of FILES) {
    page.get(`/${name}`, secured, (c) => c.body(text, 200, { 'content-type': type }))
  }

  page.post('/settings', csrf(), async (c) => {
    const latencyMs = parseLatencyMs((await c.req.parseBody()).latency_ms)
    if (latencyMs !== undefined) settings.latencyMs = latencyMs
    return c.redirect('/#settings', 303)
  })

  page.post('/answer', csrf(), async (c) => {
    const { from, body } = await c.req.parseBody()
    if (typeof from !== 'string' || typeof body !== 'string') return c.redirect('/', 303)
    answers.reply(from, body)
    return c.redirect(`/?to=${encodeURIComponent(from)}`, 303)
  })

  page.post('/clear', csrf(), (c) => {
    emptyInbox({ inbox, carrier })
    return c.redirect('/', 303)
  })

  return page
}
