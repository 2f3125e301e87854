/**
 * Where a request comes from, as finely as one household can be told from the next: an IPv4 address as it is, of an
 * IPv6 address its /64, within which everybody picks addresses as they like (RFC 8981).
 */

const GROUPS = 8
const GROUPS_OF_A_64 = 4

/** @param address an IP address, or '' when none is known: that is a network of its own */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const groups = groupsOf(address)
  const network = groups.slice(0, GROUPS_OF_A_64).map((group) => group.toString(16))
  return ipv4Inside(groups) ?? `${network.join(':')}::/64`
}

/** All eight groups, those behind `::` included. */
function groupsOf(address: string): number[] {
  const [head = '', tail = ''] = address.replace(/%.*$/, '').split('::')
  const first = readGroups(head)
  const last = readGroups(tail)
  const between = new Array<number>(Math.max(0, GROUPS - first.length - last.length)).fill(0)
  return [...first, ...between, ...last]
}

function readGroups(text: string): number[] {
  if (text === '') return []
  return text
    .split(':')
    .flatMap((group) => (group.includes('.') ? pairOf(group) : [Number.parseInt(group, 16)]))
}

/** The last two groups may be written as an IPv4 address. */
function pairOf(dotted: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number)
  return [a * 256 + b, c * 256 + d]
}

/** An IPv4 client on a dual-stack socket is written as `::ffff:` and its address, in either spelling. */
function ipv4Inside(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6)
  if (groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff) return undefined
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
