/**
 * The one interface every way of sending implements. A provider turns whatever its SDK does (rejections that are not
 * errors, promises that never settle, frames that go out later) into an Outcome, and never lets a message's text out
 * by any other road.
 */
import type { Outcome, Receipt } from '#verification/outcome.ts'

/** One SMS. `reference` is opaque: the provider sends it along and returns it with receipts where it can. */
export type Message = { from: string; to: string; body: string; reference: string }

/**
 * - `ready`: a send would be written now.
 * - `connecting`: the first connection is not up yet, or is being replaced.
 * - `unreachable`: the last try to connect failed; trying again by itself.
 * - `unauthorized`: the provider refused the credentials; tried again at long intervals.
 * - `closed`: after close().
 */
export type ProviderStatus = 'ready' | 'connecting' | 'unreachable' | 'unauthorized' | 'closed'

export interface Provider {
  readonly name: string
  /** Sends once. Resolves always, within the provider's own deadline; aborting `signal` ends it as `unknown`. */
  send(message: Message, signal: AbortSignal): Promise<Outcome>
  status(): ProviderStatus
  /** Stops at once: what is still in flight resolves as `unknown`. Idempotent. */
  close(): Promise<void>
}

export type ReceiptListener = (receipt: Receipt) => void

/**
 * An SMS that came to one of our numbers. `from` and `to` are as the carrier wrote them; `text` may hold a code or what
 * is nobody's business, and leaves the program by no road.
 */
export type Inbound = { messageId: string; from: string; to: string; text: string }

/** Called once or more for each message, in no certain order. What comes while no link is up is not told later. */
export type InboundListener = (message: Inbound) => void
