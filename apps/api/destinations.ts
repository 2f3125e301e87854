/** Reads the numbers callers send, by the regions of this service, and remembers the last ones read. */
import {
  type ParsedDestination,
  parseDestination,
  parseHeldDestination,
  type Region,
} from '#verification/destination.ts'
import type { TestNumber } from '#verification/lists.ts'
import type { Refused } from '#verification/refusal.ts'
import { createMemory } from '#verification/remember.ts'
import type { Channel } from '#verification/verification.ts'

/** Nothing is sent to a test number, so nothing is counted for its region. */
const TEST_REGION: Region = 'US'
/** Over all countries and channels, which a caller may name as they like: about 2 MB. */
const REMEMBERED_MAX = 5_000

/** @param channel how a code is to go there; default `sms` */
export type ReadDestination = (
  text: string,
  country?: Region,
  channel?: Channel,
) => ParsedDestination | Refused

/** @param tests numbers that are taken as they are: they need not exist, nor lie where codes are sent */
export function createReadDestination(
  regions: ReadonlySet<Region>,
  tests: readonly TestNumber[] = [],
): ReadDestination {
  const parse = (text: string, options: Parameters<typeof parseDestination>[1]) => {
    const spelled = tests.length > 0 ? parseHeldDestination(text, options.country) : undefined
    const test = tests.find(({ destination }) => destination === spelled)
    if (test) return { kind: 'destination' as const, destination: test.destination, region: TEST_REGION }
    return parseDestination(text, options)
  }
  const known = createMemory<ParsedDestination | Refused>(REMEMBERED_MAX)
  return (text, country, channel = 'sms') => {
    const name = `${channel} ${country ?? ''} ${text}`
    const before = known.get(name)
    if (before !== undefined) return before
    const read = parse(text, { regions, channel, ...(country === undefined ? {} : { country }) })
    known.set(name, read)
    return read
  }
}
