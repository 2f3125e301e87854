/**
 * `POST /callbacks/signalwire`: news of messages that went over REST. Only what SignalWire signed is believed; it may
 * come twice, late and in any order, because the ledger only moves forwards. What could not be stored is told so, because
 * SignalWire then tells it again.
 */
import { type Context, Hono } from 'hono'
import { createCallbackReader } from '#providers/signalwire-callbacks.ts'
import { within } from '#runtime/shutdown.ts'
import type { Receipt } from '#verification/outcome.ts'
import { parseReference } from '#verification/verification.ts'
import { readText } from './body.ts'
import { type ApiEnv, headerOf } from './context.ts'
import { problem } from './problem.ts'

export type CallbackConfig = { publicUrl: string; signingKey: string }

/** The path under PUBLIC_URL that SignalWire is told. */
const PATH = '/callbacks/signalwire'

/** SignalWire waits 5 s for an answer, and asks three times. */
const STORED_WITHIN_MS = 1_000

export function callbackRoutes(config: CallbackConfig, takeReceipt: (receipt: Receipt) => Promise<boolean>) {
  const read = createCallbackReader(config)
  const app = new Hono<ApiEnv>()

  app.post(PATH, async (c) => {
    const said = read({
      target: targetOf(c),
      contentType: headerOf(c, 'content-type') ?? '',
      signature: headerOf(c, 'x-signalwire-signature') ?? headerOf(c, 'x-twilio-signature') ?? '',
      body: await readText(c),
    })
    if (said.kind === 'forged') return problem(c, 'bad_signature')
    if (said.kind === 'receipt') {
      const send = parseReference(said.receipt.reference ?? '')
      if (send) c.set('verification', send.verification)
      c.set('result', said.receipt.state)
      if (!(await isStored(said.receipt))) return problem(c, 'service_unavailable', { retryAfterMs: 1_000 })
    }
    return c.body(null, 204)
  })

  async function isStored(receipt: Receipt): Promise<boolean> {
    let stored = false
    const taken = takeReceipt(receipt).then((is) => {
      stored = is
    })
    await within(STORED_WITHIN_MS, taken)
    return stored
  }

  return app
}

/** Path and query as they were asked for, before anybody rewrote an escape in them. */
function targetOf(c: Context<ApiEnv>): string {
  const { pathname, search } = new URL(c.req.url)
  return c.env?.incoming?.url ?? `${pathname}${search}`
}
