/**
 * What SignalWire posts to us: news of messages that went over REST, and what people write to our numbers. Only what
 * SignalWire signed is believed. News may come twice, late and in any order, because the ledger only moves forwards.
 * What could not be stored is told so, because SignalWire then tells it again.
 */
import { type Context, Hono } from 'hono'
import {
  type Callback,
  type CallbackConfig,
  createCallbackReader,
  createInboundReader,
} from '#providers/signalwire-callbacks.ts'
import { within } from '#runtime/shutdown.ts'
import type { Inbound } from '#verification/keyword.ts'
import type { Receipt } from '#verification/outcome.ts'
import { parseReference } from '#verification/verification.ts'
import { limitBody, readText } from './body.ts'
import { type ApiEnv, headerOf } from './context.ts'
import { problem } from './problem.ts'

/** The path under PUBLIC_URL that SignalWire is told. */
const PATH = '/callbacks/signalwire'
/** The one that a number of ours is pointed at. */
const INBOUND_PATH = `${PATH}/inbound`
/** Nothing to do: the answer to a keyword goes out as a message of its own. */
const NO_ORDERS = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
/**
 * A message of 1,600 letters, of which each may take nine bytes of a form, with what stands beside it. A STOP at its
 * beginning must not be lost for what follows.
 */
const BODY_MAX_BYTES = 20 * 1024
/** SignalWire waits 5 s for an answer, and asks three times. A keyword is offered to Redis twice in its time. */
const STORED_WITHIN_MS = 1_000
const HEEDED_WITHIN_MS = 2_000

export type CallbackDeps = {
  /** Whether it has been dealt with; false when it could not be stored. */
  takeReceipt: (receipt: Receipt) => Promise<boolean>
  /** Resolves when it is kept; `false` when it is lost. */
  takeInbound: (message: Inbound) => Promise<boolean>
}

export function callbackRoutes(config: CallbackConfig, { takeReceipt, takeInbound }: CallbackDeps) {
  const read = createCallbackReader(config)
  const readInbound = createInboundReader(config)
  const app = new Hono<ApiEnv>()
  for (const path of [PATH, INBOUND_PATH]) app.use(path, limitBody(BODY_MAX_BYTES))

  app.post(PATH, async (c) => {
    const said = read(await callbackIn(c))
    if (said.kind === 'forged') return problem(c, 'bad_signature')
    if (said.kind === 'receipt') {
      const send = parseReference(said.receipt.reference ?? '')
      if (send) c.set('verification', send.verification)
      c.set('result', said.receipt.state)
      if (!(await isKept(takeReceipt(said.receipt), STORED_WITHIN_MS)))
        return problem(c, 'service_unavailable', { retryAfterMs: 1_000 })
    }
    return c.body(null, 204)
  })

  app.post(INBOUND_PATH, async (c) => {
    const said = readInbound(await callbackIn(c))
    if (said.kind === 'forged') return problem(c, 'bad_signature')
    // While Redis is away it goes on being offered; SignalWire is told that it may try again.
    if (said.kind === 'inbound' && !(await isKept(takeInbound(said.message), HEEDED_WITHIN_MS)))
      return problem(c, 'service_unavailable', { retryAfterMs: 1_000 })
    return c.body(NO_ORDERS, 200, { 'Content-Type': 'text/xml; charset=utf-8' })
  })

  return app
}

async function isKept(taking: Promise<boolean>, withinMs: number): Promise<boolean> {
  let kept = false
  const taken = taking.then((is) => {
    kept = is
  })
  await within(withinMs, taken)
  return kept
}

async function callbackIn(c: Context<ApiEnv>): Promise<Callback> {
  return {
    target: targetOf(c),
    contentType: headerOf(c, 'content-type') ?? '',
    signature: headerOf(c, 'x-signalwire-signature') ?? headerOf(c, 'x-twilio-signature') ?? '',
    body: (await readText(c)) ?? '',
  }
}

/** Path and query as they were asked for, before anybody rewrote an escape in them. */
function targetOf(c: Context<ApiEnv>): string {
  const { pathname, search } = new URL(c.req.url)
  return c.env?.incoming?.url ?? `${pathname}${search}`
}
