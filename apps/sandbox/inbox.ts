/**
 * What has arrived on the phones, and what was answered from them: the newest messages and calls, in memory only.
 * Whoever watches is told of each change; with nobody watching a message costs one slot in a ring.
 */
import { randomUUID } from 'node:crypto'
import type { Failure, MessageState, Step } from './scenarios.ts'

type Channel = 'sms' | 'call'

/**
 * What a door makes of an order. `context` and `tags` travel back on every receipt; `callback` is the address that news
 * of it are posted to.
 */
export type Draft = {
  to: string
  from: string
  body: string
  channel: Channel
  context: string
  tags: readonly string[]
  callback?: string
}

/**
 * `seq` grows by one a message; `atMs` is the time of arrival (Unix epoch). `direction` is SignalWire's word: `inbound`
 * was written on the phone.
 */
export type Message = Draft & {
  readonly id: string
  readonly direction: 'outbound' | 'inbound'
  readonly seq: number
  readonly atMs: number
  state: MessageState
  failure?: Failure
}

/** undefined: the inbox was emptied. */
type Watcher = (changed: Message | undefined) => void

export type Inbox = {
  add(draft: Draft): Message
  /** A message from a phone. */
  answer(draft: Draft): Message
  /** Moves the message to the step's state, never backwards. */
  advance(message: Message, step: Step): void
  /** Newest first: what arrived, at one phone if it is named, and with `answers` what was written there too. */
  list(filter?: { phone?: string | undefined; answers?: boolean; limit?: number }): Message[]
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

/** The phone that got a message or wrote it. */
export const phoneOf = ({ direction, from, to }: Message) => (direction === 'inbound' ? from : to)

/** @param capacity how many messages are kept; the oldest makes room. */
export function createInbox(capacity: number): Inbox {
  const ring: Message[] = []
  const watchers = new Set<Watcher>()
  let seq = 0
  let clearedThrough = 0

  function tell(changed: Message | undefined): void {
    for (const watcher of watchers) watcher(changed)
  }

  function keep(draft: Draft, direction: Message['direction']): Message {
    seq += 1
    const message: Message = { ...draft, id: randomUUID(), direction, seq, atMs: Date.now(), state: 'queued' }
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

  const list: Inbox['list'] = ({ phone, answers = false, limit = capacity } = {}) => {
    const found: Message[] = []
    const oldest = Math.max(clearedThrough, seq - capacity)
    for (let at = seq; at > oldest && found.length < limit; at -= 1) {
      const message = ring[at % capacity]
      if (!message || (message.direction === 'inbound' && !answers)) continue
      if (phone === undefined || phoneOf(message) === phone) found.push(message)
    }
    return found
  }

  return {
    add: (draft) => keep(draft, 'outbound'),
    answer: (draft) => keep(draft, 'inbound'),
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
