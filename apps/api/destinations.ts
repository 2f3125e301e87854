/** Reads the numbers callers send, by the regions of this service, and remembers the last ones read. */
import { type ParsedDestination, parseDestination, type Region } from '#verification/destination.ts'
import type { Refused } from '#verification/refusal.ts'
import { remember } from '#verification/remember.ts'
import type { Channel } from '#verification/verification.ts'

const REMEMBERED_MAX = 2_000

/** @param channel how a code is to go there; default `sms` */
export type ReadDestination = (
  text: string,
  country?: Region,
  channel?: Channel,
) => ParsedDestination | Refused

export function createReadDestination(regions: ReadonlySet<Region>): ReadDestination {
  const international = remember(REMEMBERED_MAX, (text) => parseDestination(text, { regions }))
  const others = new Map<string, (text: string) => ParsedDestination | Refused>()
  return (text, country, channel = 'sms') => {
    if (country === undefined && channel === 'sms') return international(text)
    const options = { regions, channel, ...(country === undefined ? {} : { country }) }
    const name = `${channel} ${country}`
    const read = others.get(name) ?? remember(REMEMBERED_MAX, (t) => parseDestination(t, options))
    others.set(name, read)
    return read(text)
  }
}
