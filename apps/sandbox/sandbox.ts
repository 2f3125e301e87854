/**
 * The whole sandbox as one value: HTTP and websocket on one port, and the handles that tests of a client need to make
 * it fail. Importing it does nothing; `listen` starts it.
 */
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { type Answer, createAnswers } from './answers.ts'
import { createApp } from './app.ts'
import { createCallbacks } from './callbacks.ts'
import { createCarrier } from './carrier.ts'
import { createInbox, type Message } from './inbox.ts'
import { createRelay, type Relay } from './relay.ts'
import { createTimers } from './timers.ts'

export type SandboxOptions = {
  /** Default 127.0.0.1. */
  host?: string
  /** Added before every reply. Default 0. */
  latencyMs?: number
  /** Signs status callbacks. Default `sandbox`. */
  signingKey?: string
  /** Where all numbers are pointed: messages to them are posted there, and not told over the websocket. Default none. */
  inboundUrl?: string
  /** Multiplies every time of a scenario (not the latency): 1 as written, 0 as fast as possible. Default 1. */
  pace?: number
  /** How often the server pings its clients. Default 10 s. */
  pingMs?: number
  /** How many messages are kept. Default 1,000. */
  capacity?: number
  /** Told of what an HTTP handler threw. Default: nobody. */
  onFault?: (error: Error) => void
}

export type Sandbox = Pick<
  Relay,
  'setTrouble' | 'counts' | 'connectionCount' | 'dropConnections' | 'restart'
> & {
  /**
   * @param port 0 takes a free one.
   * @returns the port, which a later `listen` after `close` may take again; what arrived is kept.
   */
  listen(port: number): Promise<number>
  /** Cuts every connection, drops all news still to come, and frees the port. */
  close(): Promise<void>
  /** What arrived, newest first. */
  messages(to?: string): Message[]
  /** A person writes a message on the phone `from`, to the number `to`. */
  answer(answer: Answer): Message
  clear(): void
  setLatency(latencyMs: number): void
}

const DEFAULTS = {
  host: '127.0.0.1',
  latencyMs: 0,
  signingKey: 'sandbox',
  inboundUrl: '',
  pace: 1,
  pingMs: 10_000,
  capacity: 1_000,
  onFault: () => {},
}

export function createSandbox(options: SandboxOptions = {}): Sandbox {
  const { host, latencyMs, pingMs, capacity, onFault, ...rest } = { ...DEFAULTS, ...options }
  const { signingKey, inboundUrl, pace } = rest
  const settings = { latencyMs }
  const timers = createTimers()
  const inbox = createInbox(capacity)
  const carrier = createCarrier({ inbox, timers, pace })
  const callbacks = createCallbacks({ signingKey, timers, pace })
  const relay = createRelay({ carrier, settings, timers, pace })
  const answers = createAnswers({ inbox, relay, callbacks, inboundUrl })
  const app = createApp({ inbox, answers, carrier, callbacks, settings, timers }, onFault)
  let server: Server | undefined

  async function close(): Promise<void> {
    const closing = server
    server = undefined
    timers.clear()
    callbacks.abort()
    relay.dropConnections()
    if (!closing) return
    const closed = new Promise<void>((resolve) => closing.close(() => resolve()))
    closing.closeAllConnections()
    await closed
  }

  async function listen(port: number): Promise<number> {
    const opened = createServer(getRequestListener(app.fetch))
    opened.on('upgrade', relay.upgrade)
    await new Promise<void>((resolve, reject) => {
      opened.once('error', reject)
      opened.listen(port, host, resolve)
    })
    server = opened
    relay.beat(pingMs)
    const address = opened.address()
    return typeof address === 'object' && address ? address.port : port
  }

  return {
    listen,
    close,
    messages: (to) => inbox.list({ phone: to }),
    answer: answers.take,
    clear() {
      inbox.clear()
      carrier.forget()
    },
    setLatency(ms) {
      settings.latencyMs = ms
    },
    setTrouble: relay.setTrouble,
    counts: relay.counts,
    connectionCount: relay.connectionCount,
    dropConnections: relay.dropConnections,
    restart: relay.restart,
  }
}
