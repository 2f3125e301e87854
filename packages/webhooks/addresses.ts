/**
 * Which addresses a webhook may go to. A name is resolved once, every address behind it is judged, and the connection
 * goes to exactly those: what a name says a moment later is never asked (OWASP SSRF Prevention, case 2).
 */
import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** All addresses of a name, or a rejection. */
export type Resolve = (name: string) => Promise<readonly LookupAddress[]>

export type Checked =
  | { kind: 'checked'; addresses: LookupAddress[] }
  | { kind: 'blocked' }
  | { kind: 'not_found' }

/** What WEBHOOK_ALLOW_PRIVATE opens; the link, where clouds keep their credentials, stays shut. */
const PRIVATE = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat'])
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3')
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/** Whether a webhook may go there: global unicast; with `allowPrivate` also what is private to a network or machine. */
export function isAllowed(address: string, allowPrivate: boolean): boolean {
  const family = isIP(address)
  if (family === 0) return false
  if (family === 4) return judge(ipaddr.IPv4.parse(address), allowPrivate)
  // In hexadecimal throughout: an address with dots at its end is not always one with an IPv4 address inside.
  const url = URL.parse(`http://[${address}]`)
  return url !== null && judge(ipaddr.IPv6.parse(hostOf(url)), allowPrivate)
}

function judge(address: ipaddr.IPv4 | ipaddr.IPv6, allowPrivate: boolean): boolean {
  if (address instanceof ipaddr.IPv6) {
    // Both lead to the IPv4 address inside.
    if (address.isIPv4MappedAddress()) return judge(address.toIPv4Address(), allowPrivate)
    if (address.match(NAT64)) return judge(new ipaddr.IPv4(address.toByteArray().slice(12)), allowPrivate)
  }
  const range = address.range()
  if (allowPrivate && PRIVATE.has(range)) return true
  return range === 'unicast' && (address instanceof ipaddr.IPv4 || address.match(GLOBAL_IPV6))
}

/** The host of an address as URL writes it: an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

/** One bad address among several is enough to refuse the name: which of them is taken is not ours to say. */
export async function checkHost(
  host: string,
  { resolve, allowPrivate }: { resolve: Resolve; allowPrivate: boolean },
): Promise<Checked> {
  const family = isIP(host)
  const addresses = family === 0 ? await resolve(host).catch(() => []) : [{ address: host, family }]
  if (addresses.length === 0) return { kind: 'not_found' }
  if (!addresses.every(({ address }) => isAllowed(address, allowPrivate))) return { kind: 'blocked' }
  return { kind: 'checked', addresses: [...addresses] }
}

/** Answers a socket that asks for any name with the addresses that were checked. */
export function pinned(addresses: readonly LookupAddress[]): LookupFunction {
  return (_name, options, callback) => {
    const [first] = addresses
    if (options.all) return callback(null, [...addresses])
    return callback(null, first?.address ?? '', first?.family ?? 4)
  }
}

/** The system's own way, so that names of a container network are found too. One question at a time is under way. */
export function createResolve(): Resolve {
  let asking: { name: string; answer: Promise<LookupAddress[]> } | undefined
  return (name) => {
    // A name server that hangs would else take all the threads that this process resolves names with.
    if (asking?.name === name) return asking.answer
    const answer = lookup(name, { all: true }).finally(() => {
      asking = undefined
    })
    asking = { name, answer }
    return answer
  }
}
