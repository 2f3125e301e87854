/**
 * What a message costs, counted before it is sent: so many segments at the region's price, once for each send that
 * is ordered. Budgets go by these figures; the bill is the provider's. A region nobody has priced costs the most, so that
 * a forgotten one stops early.
 */
import type { Region } from './destination.ts'
import type { Channel } from './verification.ts'

/** Millionths of a currency a segment, by region; `*` for all others. */
export type Prices = Readonly<Record<string, number>>

/** SignalWire's list price of an outbound SMS in the US and Canada, carrier fees included, rounded up; in US dollars. */
export const DEFAULT_PRICES: Prices = { US: 15_000, CA: 15_000, '*': 300_000 }

/** A call is billed by the minute; two segments' price bounds a short one. */
const CALL_SEGMENTS = 2

export function priceOf(
  prices: Prices,
  message: { region: Region | undefined; segments: number; channel: Channel },
): number {
  const each = prices[message.region ?? '*'] ?? prices['*'] ?? 0
  return each * (message.channel === 'sms' ? message.segments : CALL_SEGMENTS)
}
