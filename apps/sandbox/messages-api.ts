/**
 * The sandbox's own JSON calls: what arrived, live as it arrives, an answer from a phone, and the settings. They are for
 * tests and for the page; SignalWire has nothing like them.
 */
import { type Context, Hono } from 'hono'
import { csrf } from 'hono/csrf'
import { streamSSE } from 'hono/streaming'
import { type Answers, parseAnswer } from './answers.ts'
import type { Carrier } from './carrier.ts'
import { watchChanges } from './changes.ts'
import { asParams } from './frames.ts'
import type { Inbox, Message } from './inbox.ts'
import { LATENCY_MS_MAX, parseLatencyMs, type Settings } from './settings.ts'
import { viewOf } from './view.ts'

const WRONG_LATENCY = `latency_ms must be a whole number from 0 to ${LATENCY_MS_MAX}`

const WRONG_ANSWER = 'from must be a number in E.164, to a number or a short code, body 1 to 1600 characters'

type Parts = { inbox: Inbox; answers: Answers; carrier: Carrier; settings: Settings }

export function messagesApi({ inbox, answers, carrier, settings }: Parts): Hono {
  const api = new Hono()

  api.get('/messages', (c) => c.json(inbox.list({ phone: phoneIn(c) }).map(listed)))

  api.post('/messages', csrf(), async (c) => {
    const answer = parseAnswer(await c.req.json().catch(() => undefined))
    return answer ? c.json(listed(answers.take(answer)), 201) : c.json({ error: WRONG_ANSWER }, 422)
  })

  api.delete('/messages', (c) => {
    emptyInbox({ inbox, carrier })
    return c.body(null, 204)
  })

  api.get('/messages/stream', (c) =>
    streamSSE(c, async (stream) => {
      const changes = watchChanges(inbox, phoneIn(c))
      stream.onAbort(changes.end)
      await stream.write('retry: 1000\n\n')
      for await (const { event, messages } of changes.batches) {
        await stream.writeSSE({ event, data: JSON.stringify(messages.map(viewOf)) })
      }
    }),
  )

  api.get('/settings', (c) => c.json({ latency_ms: settings.latencyMs }))

  api.put('/settings', async (c) => {
    const latencyMs = parseLatencyMs(asParams(await c.req.json().catch(() => undefined)).latency_ms)
    if (latencyMs === undefined) return c.json({ error: WRONG_LATENCY }, 422)
    settings.latencyMs = latencyMs
    return c.json({ latency_ms: latencyMs })
  })

  return api
}

/** The phone that is asked for, `undefined` for all. A plus that nobody escaped comes as a space. */
export function phoneIn(c: Context): string | undefined {
  return c.req.query('to')?.replace(/^ /, '+') || undefined
}

/** Also forgets the counts of the scenario that is busy twice, so that it starts afresh. */
export function emptyInbox({ inbox, carrier }: Pick<Parts, 'inbox' | 'carrier'>): void {
  inbox.clear()
  carrier.forget()
}

function listed({ id, to, from, body, channel, state, failure, tags, atMs }: Message) {
  const at = new Date(atMs).toISOString()
  return { id, to, from, body, channel, state, ...(failure ? { reason: failure.reason } : {}), tags, at }
}
