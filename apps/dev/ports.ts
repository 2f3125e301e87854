// Ports of this machine: a free one, and whether a wanted one can be had.

import { once } from 'node:events'
import { createServer } from 'node:net'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string')
    throw new Error('no port: the address is not a TCP one')
  return address.port
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
