/**
 * One client of the Realtime websocket, and all that answering it may touch. `Trouble` names the failures that no
 * phone number can choose, for tests of a client.
 */
import type { WebSocket } from 'ws'
import type { Carrier, Tell } from './carrier.ts'
import { requestFrame } from './frames.ts'
import type { Settings } from './settings.ts'
import type { Timers } from './timers.ts'

/**
 * `project` is undefined until the client is authenticated. `leaving`: told to go, so nothing it asks is answered any
 * more.
 */
export type Connection = {
  readonly socket: WebSocket
  readonly contexts: Set<string>
  readonly tell: Tell
  project: string | undefined
  leaving: boolean
}

/**
 * - `unavailable`: HTTP 503 at the upgrade
 * - `connect_unanswered`: signalwire.connect gets no reply
 * - `connect_fault`: signalwire.connect gets a JSON-RPC -32603
 * - `unauthorized`: signalwire.connect is refused, whatever the credentials
 * - `cut_on_receive`: the socket is killed when signalwire.receive arrives, unanswered
 */
export type Trouble =
  | 'unavailable'
  | 'connect_unanswered'
  | 'connect_fault'
  | 'unauthorized'
  | 'cut_on_receive'

/** How often each request arrived, answered or not. */
export type Counts = { connects: number; receives: number; sends: number }

export type Surroundings = {
  carrier: Carrier
  settings: Settings
  timers: Timers
  pace: number
  counts: Counts
  trouble: Trouble | undefined
}

const GOODBYE_MS = 1_000

/** Tells the client to go, which ends its answers, and closes its socket a (paced) second later. */
export function sayGoodbye(
  connection: Connection,
  { timers, pace }: Pick<Surroundings, 'timers' | 'pace'>,
): void {
  connection.leaving = true
  connection.socket.send(requestFrame('signalwire.disconnect', { restart: true }))
  timers.later(GOODBYE_MS * pace, () => connection.socket.close(1001))
}
