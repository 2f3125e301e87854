/**
 * What each request of a Realtime client is answered with. A reply leaves after the latency of the settings, plus
 * whatever the scenario adds.
 */
import { randomUUID } from 'node:crypto'
import { type Connection, type Surroundings, sayGoodbye } from './connection.ts'
import { asParams, errorFrame, type Frame, type FrameId, parseSend, resultFrame, strings } from './frames.ts'
import type { Message } from './inbox.ts'

type Request = Frame & { method: string }

/** Does what is asked and returns the reply, or undefined when none is to be sent now. */
type Method = (connection: Connection, request: Request, around: Surroundings) => string | undefined

const METHODS: ReadonlyMap<string, Method> = new Map(
  Object.entries({
    'signalwire.connect': connect,
    'signalwire.receive': receive,
    'signalwire.unreceive': unreceive,
    'signalwire.ping': ping,
    'signalwire.disconnect': disconnect,
    'messaging.send': send,
  }),
)

const unauthorized = (id: FrameId) =>
  errorFrame(id, -32002, 'Authentication service failed with status ProtocolError, 401 Unauthorized: {}')
const fault = (id: FrameId) => errorFrame(id, -32603, 'Internal error')
const unknownMethod: Method = (_connection, { id }) => errorFrame(id, -32601, 'Method not found')

/** Answers one request, now, later or never. */
export function answer(connection: Connection, request: Request, around: Surroundings): void {
  if (connection.leaving) return
  const method = METHODS.get(request.method) ?? unknownMethod
  const reply = method(connection, request, around)
  if (reply !== undefined) around.timers.soon(around.settings.latencyMs, () => connection.socket.send(reply))
}

function connect(connection: Connection, { id, params }: Request, around: Surroundings): string | undefined {
  around.counts.connects += 1
  if (around.trouble === 'connect_unanswered') return undefined
  if (around.trouble === 'connect_fault') return fault(id)
  if (around.trouble === 'unauthorized') return unauthorized(id)
  const { project, token } = asParams(params.authentication)
  if (!isCredential(project) || !isCredential(token)) return unauthorized(id)
  connection.project = project
  for (const context of strings(params.contexts)) connection.contexts.add(context)
  return resultFrame(id, welcome(project))
}

/** Anything is let in but nothing, and the word `wrong`. */
const isCredential = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value !== 'wrong'

function welcome(project: string): object {
  const signature = randomUUID().replaceAll('-', '')
  return {
    protocol: `signalwire_${signature}_${randomUUID()}`,
    identity: `${randomUUID()}@sandbox`,
    authorization: { project, signature, expires_at: Math.floor(Date.now() / 1_000) + 86_400 },
  }
}

function receive(connection: Connection, { id, params }: Request, around: Surroundings): string | undefined {
  around.counts.receives += 1
  if (around.trouble === 'cut_on_receive') {
    connection.socket.terminate()
    return undefined
  }
  if (connection.project === undefined) return unauthorized(id)
  for (const context of strings(params.contexts)) connection.contexts.add(context)
  return resultFrame(id, { code: '200', message: 'Receiving events' })
}

function unreceive(connection: Connection, { id, params }: Request): string {
  for (const context of strings(params.contexts)) connection.contexts.delete(context)
  return resultFrame(id, { code: '200', message: 'Not receiving events' })
}

function ping(_connection: Connection, { id, params }: Request): string {
  return resultFrame(id, { timestamp: params.timestamp ?? Date.now() / 1_000 })
}

/** Answered without latency, because the socket closes right behind. */
function disconnect({ socket }: Connection, { id }: Request): undefined {
  socket.send(resultFrame(id, {}))
  socket.close(1000)
}

function send(connection: Connection, { id, params }: Request, around: Surroundings): string | undefined {
  around.counts.sends += 1
  if (connection.project === undefined) return unauthorized(id)
  const draft = parseSend(params)
  if ('wrong' in draft) {
    const errors = Object.fromEntries(draft.wrong.map((name) => [name, ['is invalid']]))
    return resultFrame(id, { code: '400', message: 'Bad request', errors })
  }
  const verdict = around.carrier.take(draft, connection.tell)
  switch (verdict.kind) {
    case 'accepted':
      accept(connection, { id, ...verdict }, around)
      return undefined
    case 'cut':
      connection.socket.terminate()
      around.carrier.follow(verdict.message, connection.tell)
      return undefined
    case 'rejected':
      return resultFrame(id, { code: '400', message: 'Bad request' })
    case 'busy':
      return resultFrame(id, { code: '429', message: 'Too many requests' })
    case 'fault':
      return fault(id)
    case 'restart':
      sayGoodbye(connection, around)
      return undefined
    case 'silent':
      return undefined
    default:
      return verdict satisfies never
  }
}

type Accepted = { id: FrameId; message: Message; withId: boolean; afterMs: number }

function accept(
  { socket, tell }: Connection,
  { id, message, withId, afterMs }: Accepted,
  around: Surroundings,
) {
  around.timers.soon(afterMs + around.settings.latencyMs, () => {
    const named = withId ? { message_id: message.id } : {}
    socket.send(resultFrame(id, { code: '200', message: 'Message accepted', ...named }))
    around.carrier.follow(message, tell)
  })
}
