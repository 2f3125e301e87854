/**
 * Runs in a thread of its own and holds one client of SignalWire's Realtime SDK, from dialling to its first trouble:
 * then it says so and ends, and the SDK's frame queue, timers, sockets and leaks end with it. The only file that
 * imports the SDK; what the SDK says leaves it only as our words (signalwire-replies.ts).
 */
import { parentPort, workerData } from 'node:worker_threads'
import { SignalWire } from '@signalwire/realtime-api'
import type { Inbound } from '#verification/keyword.ts'
import { type Moment, msBetween } from '#verification/moment.ts'
import type { Outcome, Receipt } from '#verification/outcome.ts'
import { momentNow } from './clock.ts'
import type { TextMessage } from './provider.ts'
import { inboundOf, outcomeOfRejection, outcomeOfReply, receiptOf } from './signalwire-replies.ts'

/** What a thread connects to. `host` undefined is SignalWire's own. */
export type Dial = { project: string; token: string; host?: string | undefined; context: string }

/** Parent to thread: send this. */
export type Order = { id: number; message: TextMessage; postedAt: Moment }

/** A process that was frozen with an order on its way wakes when another one may long have sent it. */
const ORDER_FRESH_MS = 1_000

/** Thread to parent. `ended` is the last one: nothing of this client reaches the network after it. */
export type News =
  | { kind: 'ready' }
  | { kind: 'outcome'; id: number; outcome: Outcome }
  | { kind: 'receipt'; receipt: Receipt }
  | { kind: 'inbound'; message: Inbound }
  | { kind: 'ended'; why: 'lost' | 'refused' }

/** Finished tasks are looked for once in so many sends: looking at each would cost more than they do. */
const FORGET_EVERY = 1_000

const parent = parentPort
if (!parent) throw new Error('signalwire-relay-thread.ts runs as a worker thread only')

function tell(news: News): void {
  parent?.postMessage(news)
}

/** process.exit in a thread ends the thread alone, and in the same turn: the SDK gets no chance to dial again. */
function end(why: 'lost' | 'refused'): never {
  tell({ kind: 'ended', why })
  process.exit()
}

const lost = () => end('lost')
// The SDK leaves rejections of a symbol unhandled when a socket is cut at the wrong moment.
process.on('unhandledRejection', lost)
process.on('uncaughtException', lost)

const { project, token, host, context }: Dial = workerData
const client = await SignalWire({
  project,
  token,
  ...(host === undefined ? {} : { host }),
  logLevel: 'silent',
  listen: { onReconnecting: lost, onDisconnected: lost, onAuthError: () => end('refused') },
})
// The SDK resolves for refused credentials too.
if (client.authStatus !== 'authorized') end('refused')

await client.messaging.listen({
  topics: [context],
  // A listener that throws kills the SDK's message events for good: receiptOf and inboundOf answer anything at all.
  onMessageUpdated: (update: unknown) => {
    const receipt = receiptOf(update)
    if (receipt) tell({ kind: 'receipt', receipt })
  },
  onMessageReceived: (received: unknown) => {
    const message = inboundOf(received)
    if (message) tell({ kind: 'inbound', message })
  },
})

let sends = 0

/**
 * The SDK keeps the finished task of every send, about 4 kB, in a list of its own that only destroying the client
 * empties. Those still running stay, so nothing the SDK does with the list changes. Without such a list, the memory of a
 * thread is bounded by its replacement alone.
 */
function forgetFinishedTasks(): void {
  const tasks: unknown = Reflect.get(client.client, '_runningWorkers')
  if (!Array.isArray(tasks)) return
  const running = tasks.filter((task) => task.isRunning())
  tasks.splice(0, tasks.length, ...running)
}

parent.on('message', ({ id, message: { from, to, body, reference }, postedAt }: Order) => {
  if (msBetween(postedAt, momentNow()) > ORDER_FRESH_MS) {
    return tell({ kind: 'outcome', id, outcome: { kind: 'busy', reason: 'timeout' } })
  }
  sends += 1
  if (sends % FORGET_EVERY === 0) forgetFinishedTasks()
  client.messaging.send({ from, to, body, context, tags: [reference] }).then(
    (reply: unknown) => tell({ kind: 'outcome', id, outcome: outcomeOfReply(reply) }),
    (rejection: unknown) => tell({ kind: 'outcome', id, outcome: outcomeOfRejection(rejection) }),
  )
})
tell({ kind: 'ready' })
