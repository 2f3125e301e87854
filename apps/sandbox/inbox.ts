/**
 * What has arrived on the phones: the newest messages and calls, in memory only. Whoever watches is told of each
 * change; with nobody watching a message costs one slot in a ring.
 */
import { randomUUID } from 'node:crypto'
import type { Failure, MessageState, Step } from './scenarios.ts'

type Channel = 'sms' | 'call'

/** What a door makes of an order. `context` and `tags` travel back on every receipt. */
export type Draft = {
  to: string
  from: string
  body: string
  channel: Channel
  context: string
  tags: readonly string[]
}

/** `seq` grows by one a message; `atMs` is the time of arrival (Unix epoch). */
export type Message = Draft & {
  readonly id: string
  readonly seq: number
  readonly atMs: number
  state: MessageState
  failure?: Failure
}

/** undefined: the inbox was emptied. */
type Watcher = (changed: Message | undefined) => void

export type Inbox = {
  add(draft: Draft): Message
  /** Moves the message to the step's state, never backwards. */
  advance(message: Message, step: Step): void
  /** Newest first. */
  list(filter?: { to?: string | undefined; limit?: number }): Message[]
  find(id: string): Message | undefined
  clear(): void
  /** @returns a function that ends the watch. */
  watch(watcher: Watcher): () => void
}

const RANK: Record<MessageState, number> = {
  queued: 0,
  initiated: 1,
  sent: 2,
  delivered: 3,
  undelivered: 3,
  failed: 3,
}

/** @param capacity how many messages are kept; the oldest makes room. */
export function createInbox(capacity: number): Inbox {
  const ring: Message[] = []
  const watchers = new Set<Watcher>()
  let seq = 0
  let clearedThrough = 0

  function tell(changed: Message | undefined): void {
    for (const watcher of watchers) watcher(changed)
  }

  function add(draft: Draft): Message {
    seq += 1
    const message: Message = { ...draft, id: randomUUID(), seq, atMs: Date.now(), state: 'queued' }
    ring[seq % capacity] = message
    if (watchers.size > 0) tell(message)
    return message
  }

  function advance(message: Message, step: Step): void {
    if (RANK[step.state] <= RANK[message.state]) return
    message.state = step.state
    if (step.failure) message.failure = step.failure
    if (watchers.size > 0 && message.seq > clearedThrough) tell(message)
  }

  function list({ to, limit = capacity }: { to?: string | undefined; limit?: number } = {}): Message[] {
    const found: Message[] = []
    const oldest = Math.max(clearedThrough, seq - capacity)
    for (let at = seq; at > oldest && found.length < limit; at -= 1) {
      const message = ring[at % capacity]
      if (message && (to === undefined || message.to === to)) found.push(message)
    }
    return found
  }

  return {
    add,
    advance,
    list,
    find: (id) => list().find((message) => message.id === id),
    clear() {
      ring.length = 0
      clearedThrough = seq
      tell(undefined)
    },
    watch(watcher) {
      watchers.add(watcher)
      return () => void watchers.delete(watcher)
    },
  }
}
