/**
 * The address of the person at the other end: the socket's, unless it is one of our own proxies. Then it is the last
 * address in X-Forwarded-For that no trusted proxy could have been; what stands before it anybody can write.
 */
import { BlockList, isIP } from 'node:net'
import type { Context } from 'hono'
import { type ApiEnv, headerOf } from './context.ts'

export function createClientIp(trustedProxies: readonly string[]) {
  const trusted = new BlockList()
  for (const proxy of trustedProxies) addTo(trusted, proxy)

  function isTrusted(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && trusted.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }

  return (socketAddress: string, forwardedFor: string | undefined): string => {
    let client = plain(socketAddress)
    if (trustedProxies.length === 0) return client
    const hops = (forwardedFor ?? '').split(',').map((hop) => plain(hop.trim()))
    while (isTrusted(client)) {
      const hop = hops.pop()
      if (hop === undefined || isIP(hop) === 0) break
      client = hop
    }
    return client
  }
}

export type ClientIpOf = (c: Context<ApiEnv>) => string

/** The same of a request; '' where there is no socket. */
export function createClientIpOf(trustedProxies: readonly string[]): ClientIpOf {
  const clientIp = createClientIp(trustedProxies)
  return (c) => clientIp(c.env?.incoming?.socket.remoteAddress ?? '', headerOf(c, 'x-forwarded-for'))
}

function addTo(list: BlockList, proxy: string): void {
  const [address = '', bits] = proxy.split('/')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (bits === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(bits), family)
}

/** An IPv4 client on a dual-stack socket is written as IPv6. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}
