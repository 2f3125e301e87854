/** Reads the numbers callers send, by the regions of this service, and remembers the last ones read. */
import { type ParsedDestination, parseDestination, type Region } from '#verification/destination.ts'
import type { TestNumber } from '#verification/lists.ts'
import type { Refused } from '#verification/refusal.ts'
import { remember } from '#verification/remember.ts'

/** Nothing is sent to a test number, so nothing is counted for its region. */
const TEST_REGION: Region = 'US'
const REMEMBERED_MAX = 2_000

export type ReadDestination = (text: string, country?: Region) => ParsedDestination | Refused

/** @param tests numbers that are taken as they are: they need not exist, nor lie where codes are sent */
export function createReadDestination(
  regions: ReadonlySet<Region>,
  tests: readonly TestNumber[] = [],
): ReadDestination {
  const parse = (text: string, options: { regions: ReadonlySet<Region>; country?: Region }) => {
    const spelled = text.replace(/[^+0-9]/g, '')
    const test = tests.find(({ destination }) => destination === spelled)
    if (test) return { kind: 'destination' as const, destination: test.destination, region: TEST_REGION }
    return parseDestination(text, options)
  }
  const international = remember(REMEMBERED_MAX, (text) => parse(text, { regions }))
  const national = new Map<Region, (text: string) => ParsedDestination | Refused>()
  return (text, country) => {
    if (country === undefined) return international(text)
    const read = national.get(country) ?? remember(REMEMBERED_MAX, (t) => parse(t, { regions, country }))
    national.set(country, read)
    return read(text)
  }
}
