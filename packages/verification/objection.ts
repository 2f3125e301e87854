/**
 * What the settings have against a send to a number. Asked at its start, and again before every message: lists and
 * regions change while a verification is under way.
 */
import { type Destination, parseDestination, type Region } from './destination.ts'
import { createListing, type Lists } from './lists.ts'
import type { Refused } from './refusal.ts'
import type { Channel } from './verification.ts'

/** `test_number`: to those nothing is ever sent. */
export type Objection = Refused['refusal'] | 'test_number'

export type ObjectionTo = (destination: Destination, channel: Channel) => Objection | undefined

export function createObjectionTo(settings: { lists: Lists; regions: ReadonlySet<Region> }): ObjectionTo {
  const listed = createListing(settings.lists)
  return (destination, channel) => {
    const { kind } = listed(destination)
    if (kind === 'test') return 'test_number'
    if (kind === 'denied') return 'number_denied'
    const parsed = parseDestination(destination, { regions: settings.regions, channel })
    return parsed.kind === 'refused' ? parsed.refusal : undefined
  }
}
