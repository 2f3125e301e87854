/** Reads the numbers callers send, by the regions of this service, and remembers the last ones read. */
import { type ParsedDestination, parseDestination, type Region } from '#verification/destination.ts'
import type { Refused } from '#verification/refusal.ts'
import { remember } from '#verification/remember.ts'

const REMEMBERED_MAX = 2_000

export type ReadDestination = (text: string, country?: Region) => ParsedDestination | Refused

export function createReadDestination(regions: ReadonlySet<Region>): ReadDestination {
  const international = remember(REMEMBERED_MAX, (text) => parseDestination(text, { regions }))
  const national = new Map<Region, (text: string) => ParsedDestination | Refused>()
  return (text, country) => {
    if (country === undefined) return international(text)
    const read =
      national.get(country) ?? remember(REMEMBERED_MAX, (t) => parseDestination(t, { regions, country }))
    national.set(country, read)
    return read(text)
  }
}
