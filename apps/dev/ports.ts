// Ports of this machine: a free one, and whether a wanted one can be had.

import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below what systems give to outgoing connections: one of those could take the port before its program listens. */
const LOWEST = 10_000
const HIGHEST = 32_000

/** One that nobody listens on now. Random, so that two who ask at the same time hardly get the same. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST)
    if (await portIsFree(port)) return port
  }
}

/** Tries the port on every interface, as the programs will, and on 127.0.0.1, where a browser would go. */
async function portIsFree(port: number): Promise<boolean> {
  return (await canListen({ port })) && (await canListen({ port, host: '127.0.0.1' }))
}

/** The first of these whose port cannot be had. */
export async function takenPort<T extends { port: number }>(wanted: readonly T[]): Promise<T | undefined> {
  for (const one of wanted) {
    if (!(await portIsFree(one.port))) return one
  }
  return undefined
}

function canListen(where: { port: number; host?: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(where, () => server.close(() => resolve(true)))
  })
}
