/**
 * An HTTP server that is in a mood: well, away, hanging, or answering that it cannot or that it knows nobody. Stands
 * before SignalWire's REST, and is where events are told.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { freePort } from '#dev/ports.ts'

/** `gone`: nobody listens at its port. `hanging`: whatever is asked, nothing is answered. */
export type Mood = 'gone' | 'hanging' | 'answering 503' | 'refusing credentials'

export type Door = {
  url: string
  open(): Promise<void>
  /** In this mood until `work` is done; the newest of several moods shows, and behind one that is gone none does. */
  during(mood: Mood, work: () => Promise<unknown>): Promise<void>
  close(): Promise<void>
}

type Serve = (request: IncomingMessage, response: ServerResponse) => void

export async function createDoor(serve: Serve): Promise<Door> {
  const port = await freePort()
  const moods: Mood[] = []
  let server: Server | undefined
  let last: Promise<void> = Promise.resolve()

  function answer(asked: IncomingMessage, response: ServerResponse): void {
    const mood = moods.at(-1)
    if (mood === undefined) serve(asked, response)
    else asked.resume()
    if (mood === 'answering 503') response.writeHead(503, { 'Retry-After': '1' }).end()
    if (mood === 'refusing credentials') response.writeHead(401).end()
  }

  async function apply(listening: boolean): Promise<void> {
    if (listening === (server !== undefined)) return
    const [was, is] = [server, listening ? createServer(answer) : undefined]
    server = is
    const done = is ? once(is.listen(port, '127.0.0.1'), 'listening') : was && once(was.close(), 'close')
    was?.closeAllConnections()
    await done
  }

  /** One change at a time, each for what is wanted when its turn comes. */
  function follow(wanted: () => boolean): Promise<void> {
    last = last.then(() => apply(wanted()))
    return last
  }
  const isThere = () => !moods.includes('gone')

  return {
    url: `http://127.0.0.1:${port}`,
    open: () => follow(isThere),
    async during(mood, work) {
      moods.push(mood)
      await follow(isThere)
      await work()
      moods.splice(moods.lastIndexOf(mood), 1)
      await follow(isThere)
    },
    close: () => follow(() => false),
  }
}

/** Hands everything on to another port of this machine; what breaks behind it breaks here. */
export function handOn(port: number): Serve {
  return (asked, response) => {
    const { method, url: path, headers } = asked
    const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answered) => {
      response.writeHead(answered.statusCode ?? 500, answered.headers)
      answered.pipe(response)
      answered.once('error', () => response.destroy())
    })
    onward.once('error', () => response.destroy())
    response.once('close', () => onward.destroy())
    asked.pipe(onward)
  }
}
