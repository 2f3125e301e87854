/** The two clients that the sandbox is tested with: SignalWire's own SDK, and a bare websocket that shows every frame. */
import { once } from 'node:events'
import { SignalWire } from '@signalwire/realtime-api'
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { createSandbox, type SandboxOptions } from '#sandbox/sandbox.ts'

export const FROM = '+12025550199'
/** A number with this ending. */
export const phone = (ending: string) => `+1202555${ending}`

/** A sandbox on a free port, closed when the test ends. Scenarios run at a fiftieth of their time. */
export async function startSandbox(options: SandboxOptions = {}) {
  const sandbox = createSandbox({ pace: 0.02, ...options })
  const port = await sandbox.listen(0)
  onTestFinished(() => sandbox.close())
  return { sandbox, port, url: `http://127.0.0.1:${port}` }
}

type Update = { id: string; state: string; reason: string | undefined; tags: string[] }

/** The real SDK, listening to the topic `otp`. */
export async function connectSdk(port: number) {
  const client = await SignalWire({
    project: 'project',
    token: 'token',
    host: `ws://127.0.0.1:${port}`,
    logLevel: 'silent',
  })
  const updates: Update[] = []
  await client.messaging.listen({
    topics: ['otp'],
    onMessageUpdated: ({ id, state, reason, tags }) => {
      updates.push({ id, state, reason, tags: [...tags] })
    },
  })
  onTestFinished(() => void client.disconnect())
  const send = (to: string, body = 'Your code is 482913') =>
    client.messaging.send({ from: FROM, to, body, context: 'otp', tags: ['v-1'] })
  return { client, updates, send }
}

export type Frame = {
  id: string
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { code: number; message: string }
}

/** A bare websocket: `ask` resolves with the reply, `frames` is all that came, in order. */
export async function openSocket(port: number, path = '/') {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`)
  const frames: Frame[] = []
  const waiting = new Map<string, (frame: Frame) => void>()
  let asked = 0
  socket.on('message', (data) => {
    const frame: Frame = JSON.parse(data.toString())
    frames.push(frame)
    waiting.get(frame.id)?.(frame)
  })
  onTestFinished(() => socket.terminate())
  await once(socket, 'open')

  /** Sends without waiting; returns the id of the request. */
  function tell(method: string, params: object): string {
    asked += 1
    const id = `ask-${asked}`
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    return id
  }

  function ask(method: string, params: object): Promise<Frame> {
    return new Promise((resolve) => waiting.set(tell(method, params), resolve))
  }

  async function authenticate(contexts: string[] = []) {
    await ask('signalwire.connect', { authentication: { project: 'project', token: 'token' }, contexts })
  }

  return {
    socket,
    frames,
    tell,
    ask,
    authenticate,
    replyTo: (id: string) => frames.find((frame) => frame.id === id),
    events: () => frames.filter((frame) => frame.method === 'signalwire.event').map(messageOf),
    closed: once(socket, 'close'),
  }
}

function messageOf(frame: Frame): Record<string, unknown> {
  return (frame.params as { params: Record<string, unknown> }).params
}

export const order = (ending: string, context = 'otp') => ({
  context,
  tags: ['v-1'],
  from_number: FROM,
  to_number: phone(ending),
  body: 'Your code is 482913',
})

export const project = { authorization: `Basic ${Buffer.from('project:token').toString('base64')}` }

/** Posts a form to the Compatibility API. */
export function postForm(
  url: string,
  fields: Record<string, string>,
  headers: Record<string, string> = project,
) {
  return fetch(url, { method: 'POST', headers, body: new URLSearchParams(fields) })
}

export function postJson(url: string, value: unknown, headers: Record<string, string> = project) {
  return fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: typeof value === 'string' ? value : JSON.stringify(value),
  })
}
