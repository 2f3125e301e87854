/**
 * Reads the numbers callers send, and remembers the last ones read: a number is asked about several times within
 * minutes (start, check, resend), and to read one costs as much as everything else about a refusal.
 */
import { type ParsedDestination, parseDestination, type Region } from '#verification/destination.ts'
import type { Refused } from '#verification/refusal.ts'

const REMEMBERED_MAX = 2_000

export type ReadDestination = (text: string, country?: Region) => ParsedDestination | Refused

export function createReadDestination(regions: ReadonlySet<Region>): ReadDestination {
  const remembered = new Map<string, ParsedDestination | Refused>()
  return (text, country) => {
    const key = `${country ?? ''} ${text}`
    const known = remembered.get(key)
    if (known) return known
    const parsed = parseDestination(text, country === undefined ? { regions } : { regions, country })
    if (remembered.size >= REMEMBERED_MAX) forgetOldest(remembered)
    remembered.set(key, parsed)
    return parsed
  }
}

function forgetOldest(remembered: Map<string, unknown>): void {
  for (const oldest of remembered.keys()) {
    remembered.delete(oldest)
    return
  }
}
