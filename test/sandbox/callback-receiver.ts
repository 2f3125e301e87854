/** An HTTP server that stands where an application receives status callbacks: it keeps what was posted to it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

type Posted = { path: string; type: string; signature: string; body: string }

/** @param statusOf the status of the nth post (0 first); 200 unless told */
export async function receiveCallbacks(statusOf: (index: number) => number = () => 200) {
  const posts: Posted[] = []
  const server = createServer(async (request, response) => {
    const { 'content-type': type = '', 'x-signalwire-signature': signature } = request.headers
    const body = await text(request)
    response.statusCode = statusOf(posts.length)
    posts.push({ path: request.url ?? '', type, signature: String(signature), body })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { posts, url: `http://127.0.0.1:${port}/status?v=1` }
}
