/** Opens a program's port, or says in one sentence why it cannot be had and ends the program. */
import type { AddressInfo, Server } from 'node:net'

/** What @hono/node-server hands back, as far as a program needs it. */
type Listening = Pick<Server, 'close' | 'once'> & { closeIdleConnections?: () => void }

export async function listen(options: {
  program: string
  /** The variable that names the port, for the sentence. */
  variable: string
  port: number
  open: (onListening: (address: AddressInfo) => void) => Listening
}): Promise<{ port: number; close: () => Promise<void> }> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const server = options.open((address) => resolve(address.port))
  server.once('error', reject)
  try {
    const port = await promise
    return { port, close: () => closeServer(server) }
  } catch (error) {
    process.stderr.write(`${sentence(options, error)}\n`)
    process.exit(1)
  }
}

function sentence(
  { program, variable, port }: { program: string; variable: string; port: number },
  error: unknown,
) {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no reason given'
  const why = code === 'EADDRINUSE' ? `port ${port} is taken` : `port ${port} cannot be opened (${code})`
  return `${program} cannot start: ${why}. Set ${variable} to another port.`
}

/** How often connections that have fallen silent are let go while a server closes. */
const IDLE_CHECK_MS = 50

/** Takes no new connection, lets requests in hand be answered, and lets go of callers who keep theirs open. */
function closeServer(server: Listening): Promise<void> {
  const letGo = setInterval(() => server.closeIdleConnections?.(), IDLE_CHECK_MS)
  return new Promise((resolve) => {
    server.close(() => {
      clearInterval(letGo)
      resolve()
    })
  })
}
