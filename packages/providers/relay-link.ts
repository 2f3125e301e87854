/**
 * One thread's life, seen from outside: starts it, gives up on a connection that does not come up, hands it sends with
 * a deadline each, and ends it. Every send it takes resolves, whatever becomes of the thread.
 */
import { Worker } from 'node:worker_threads'
import type { Inbound } from '#verification/keyword.ts'
import type { Outcome, Receipt } from '#verification/outcome.ts'
import { momentNow } from './clock.ts'
import type { TextMessage } from './provider.ts'
import type { Dial, News, Order } from './signalwire-relay-thread.ts'

type LinkOptions = { dial: Dial; connectTimeoutMs: number; sendTimeoutMs: number }

/**
 * - `lost`: it could not connect, or it did and the connection is gone.
 * - `refused`: the credentials were refused.
 * - `ended`: we wanted it to.
 */
export type EndOfLink = 'lost' | 'refused' | 'ended'

type LinkListener = {
  onReady(): void
  onReceipt(receipt: Receipt): void
  onInbound(message: Inbound): void
  /** A send had no answer by its deadline: the connection may be half open. */
  onSilence(): void
  /** Once; all sends have resolved. */
  onEnd(why: EndOfLink): void
}

export type Link = {
  send(message: TextMessage, signal: AbortSignal): Promise<Outcome>
  /** How many sends it was ever given. */
  sends(): number
  /** Ends as soon as nothing is in flight. */
  retire(): void
  /** Ends now; resolves when the thread is gone. */
  end(): Promise<void>
}

type InFlight = { resolve(outcome: Outcome): void; forget(): void }

export function openLink(options: LinkOptions, listener: LinkListener): Link {
  const worker = startThread(options.dial)
  const inFlight = new Map<number, InFlight>()
  const connectDeadline = setTimeout(() => finish('lost'), options.connectTimeoutMs)
  let sends = 0
  let retired = false
  let finished = false

  function finish(why: EndOfLink): void {
    if (finished) return
    finished = true
    clearTimeout(connectDeadline)
    void worker.terminate()
    for (const id of inFlight.keys()) settle(id, { kind: 'unknown', reason: 'connection_lost' })
    listener.onEnd(why)
  }

  function settle(id: number, outcome: Outcome): void {
    const waiting = inFlight.get(id)
    if (!waiting) return
    inFlight.delete(id)
    waiting.forget()
    waiting.resolve(outcome)
    if (retired && inFlight.size === 0) finish('ended')
  }

  function expire(id: number): void {
    settle(id, { kind: 'unknown', reason: 'timeout' })
    if (!finished) listener.onSilence()
  }

  worker.on('message', (news: News) => {
    if (finished) return
    switch (news.kind) {
      case 'ready':
        clearTimeout(connectDeadline)
        return listener.onReady()
      case 'outcome':
        return settle(news.id, news.outcome)
      case 'receipt':
        return listener.onReceipt(news.receipt)
      case 'inbound':
        return listener.onInbound(news.message)
      case 'ended':
        return finish(news.why)
      default:
        return news satisfies never
    }
  })
  worker.on('error', () => finish('lost'))
  worker.on('exit', () => finish('lost'))

  return {
    send: (message, signal) =>
      new Promise((resolve) => {
        const id = ++sends
        // An abort resolves the promise and no more: the SDK still waits for the answer, and so does the deadline.
        const abort = () => resolve({ kind: 'unknown', reason: 'timeout' })
        const deadline = setTimeout(expire, options.sendTimeoutMs, id)
        signal.addEventListener('abort', abort)
        const forget = () => {
          clearTimeout(deadline)
          signal.removeEventListener('abort', abort)
        }
        inFlight.set(id, { resolve, forget })
        worker.postMessage({ id, message, postedAt: momentNow() } satisfies Order)
      }),
    sends: () => sends,
    retire() {
      retired = true
      if (inFlight.size === 0) finish('ended')
    },
    async end() {
      finish('ended')
      await worker.terminate()
    },
  }
}

/**
 * Nothing of the thread's output is ever shown: redux-saga and the SDK print frames, and frames hold the code. It
 * inherits neither environment nor flags, so that nothing loaded into the program can watch it from inside.
 */
function startThread(dial: Dial): Worker {
  const worker = new Worker(new URL('./signalwire-relay-thread.ts', import.meta.url), {
    workerData: dial,
    stdout: true,
    stderr: true,
    env: {},
    execArgv: [],
  })
  worker.stdout.resume()
  worker.stderr.resume()
  return worker
}
