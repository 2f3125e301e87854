/**
 * Which addresses count as one: who rents an IPv6 line holds a whole /64, and often a /48, so a limit on single IPv6
 * addresses limits nobody.
 */

/** `ip`: an IPv4 address, or the /64 of an IPv6 one. `network`: the /48; an IPv4 address has none. */
export type ClientNetwork = { ip: string; network?: string }

/** @param address a valid IPv4 or IPv6 address; an IPv4 address written as IPv6 is the IPv4 one */
export function networkOf(address: string): ClientNetwork {
  if (!address.includes(':')) return { ip: address }
  const groups = groupsOf(address)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (mapped) return { ip: dotted(groups) }
  const first = (count: number) =>
    groups
      .slice(0, count)
      .map((group) => group.toString(16))
      .join(':')
  return { ip: `${first(4)}::/64`, network: `${first(3)}::/48` }
}

function dotted(groups: readonly number[]): string {
  return [6, 7].flatMap((index) => [(groups[index] ?? 0) >> 8, (groups[index] ?? 0) & 0xff]).join('.')
}

/** The eight groups; a zone (`%eth0`) is cut off, an embedded IPv4 part is two groups. */
function groupsOf(address: string): number[] {
  const text = address.replace(/%.*$/, '').replace(/([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)$/, hexGroups)
  const [head = '', tail] = text.split('::')
  const read = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  if (tail === undefined) return read(head)
  const [before, after] = [read(head), read(tail)]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function hexGroups(_: string, ...parts: string[]): string {
  const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number)
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}
