/** Reads the numbers callers send, by the regions of this service, and remembers the last ones read. */
import {
  type ParsedDestination,
  parseDestination,
  parseHeldDestination,
  type Region,
} from '#verification/destination.ts'
import type { TestNumber } from '#verification/lists.ts'
import type { Refused } from '#verification/refusal.ts'
import { remember } from '#verification/remember.ts'
import type { Channel } from '#verification/verification.ts'

/** Nothing is sent to a test number, so nothing is counted for its region. */
const TEST_REGION: Region = 'US'
const REMEMBERED_MAX = 2_000

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
  const international = remember(REMEMBERED_MAX, (text) => parse(text, { regions }))
  const others = new Map<string, (text: string) => ParsedDestination | Refused>()
  return (text, country, channel = 'sms') => {
    if (country === undefined && channel === 'sms') return international(text)
    const options = { regions, channel, ...(country === undefined ? {} : { country }) }
    const name = `${channel} ${country}`
    const read = others.get(name) ?? remember(REMEMBERED_MAX, (t) => parse(t, options))
    others.set(name, read)
    return read(text)
  }
}
