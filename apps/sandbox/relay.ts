/**
 * The Realtime websocket: who is connected, what each one listens to, and which of them hears a piece of news. What a
 * request is answered with is in dialogue.ts.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { type Connection, type Counts, type Surroundings, sayGoodbye, type Trouble } from './connection.ts'
import { answer } from './dialogue.ts'
import { errorFrame, parseFrame, receiveFrame, requestFrame, stateFrame } from './frames.ts'
import type { Message } from './inbox.ts'

export type Relay = {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Brings a message from a phone to one client that listens to its context. @returns whether there was one. */
  bring(message: Message): boolean
  /** A context somebody listens to. */
  anyContext(): string | undefined
  /** Pings every client every so often, until the timers are cleared. */
  beat(everyMs: number): void
  /** Stays until it is set to undefined. */
  setTrouble(trouble: Trouble | undefined): void
  counts(): Counts
  /** Open sockets, authenticated or not. */
  connectionCount(): number
  /** Kills every socket without a close frame. */
  dropConnections(): void
  /** Says goodbye to every client and closes its socket a (paced) second later. */
  restart(): void
}

const FRAME_BYTES_MAX = 64 * 1_024

export function createRelay(parts: Omit<Surroundings, 'counts' | 'trouble'>): Relay {
  const server = new WebSocketServer({ noServer: true, maxPayload: FRAME_BYTES_MAX })
  const connections = new Set<Connection>()
  const around: Surroundings = {
    ...parts,
    counts: { connects: 0, receives: 0, sends: 0 },
    trouble: undefined,
  }

  function hearerOf(context: string, sender?: Connection): Connection | undefined {
    if (sender && hears(sender, context)) return sender
    return [...connections].find((connection) => hears(connection, context))
  }

  function join(socket: WebSocket): void {
    const connection: Connection = {
      socket,
      contexts: new Set(),
      project: undefined,
      leaving: false,
      tell(message, step) {
        const hearer = hearerOf(message.context, connection)
        hearer?.socket.send(stateFrame(message, step, hearer.project ?? ''))
      },
    }
    connections.add(connection)
    socket.on('message', (data: RawData) => hear(connection, data))
    socket.on('close', () => connections.delete(connection))
    socket.on('error', () => socket.terminate())
  }

  function hear(connection: Connection, data: RawData): void {
    const frame = parseFrame(data.toString())
    if (!frame) connection.socket.send(errorFrame(null, -32700, 'Parse error'))
    else if (frame.method !== undefined) answer(connection, { ...frame, method: frame.method }, around)
  }

  function dropConnections(): void {
    for (const { socket } of connections) socket.terminate()
  }

  function beat(everyMs: number): void {
    parts.timers.later(everyMs, () => {
      for (const { socket } of connections) {
        socket.send(requestFrame('signalwire.ping', { timestamp: Date.now() / 1_000 }))
      }
      beat(everyMs)
    })
  }

  return {
    bring(message) {
      const hearer = hearerOf(message.context)
      hearer?.socket.send(receiveFrame(message, hearer.project ?? ''))
      return hearer !== undefined
    },
    anyContext: () => [...connections].flatMap(({ contexts }) => [...contexts])[0],
    beat,
    upgrade(request, socket, head) {
      if (around.trouble === 'unavailable') return refuse(socket, '503 Service Unavailable')
      if (pathOf(request) !== '/') return refuse(socket, '404 Not Found')
      server.handleUpgrade(request, socket, head, join)
    },
    setTrouble(trouble) {
      around.trouble = trouble
    },
    counts: () => ({ ...around.counts }),
    connectionCount: () => connections.size,
    dropConnections,
    restart() {
      for (const connection of connections) sayGoodbye(connection, around)
    },
  }
}

function hears({ socket, contexts }: Connection, context: string): boolean {
  return socket.readyState === socket.OPEN && contexts.has(context)
}

const pathOf = (request: IncomingMessage) => request.url?.split('?')[0]

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
