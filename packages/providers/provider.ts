/**
 * The one interface every way of sending implements. A provider turns whatever its SDK does (rejections that are not
 * errors, promises that never settle, frames that go out later) into an Outcome, and never lets a message's text out
 * by any other road.
 */
import type { Inbound } from '#verification/keyword.ts'
import type { Outcome, Receipt } from '#verification/outcome.ts'
import type { Speech } from '#verification/speech.ts'
import type { Channel } from '#verification/verification.ts'

/**
 * One SMS, or one call. `reference` is opaque: the provider sends it along and returns it with receipts where it can. After
 * `validForMs` the message is worth nothing: a provider that can holds on to it no longer.
 */
type Addressed = { from: string; to: string; reference: string; validForMs: number }
export type TextMessage = Addressed & { channel: 'sms'; body: string }
export type SpokenMessage = Addressed & { channel: 'call'; speech: Speech }
export type Message = TextMessage | SpokenMessage

/**
 * - `ready`: a send would be written now.
 * - `connecting`: the first connection is not up yet, or is being replaced.
 * - `unreachable`: the last try to connect failed; trying again by itself.
 * - `unauthorized`: the provider refused the credentials; tried again by itself.
 * - `closed`: after close().
 */
export type ProviderStatus = 'ready' | 'connecting' | 'unreachable' | 'unauthorized' | 'closed'

export interface Provider {
  readonly name: string
  /** What it can send; it is asked for nothing else. */
  readonly channels: readonly Channel[]
  /** Sends once. Resolves always, within the provider's own deadline; aborting `signal` ends it as `unknown`. */
  send(message: Message, signal: AbortSignal): Promise<Outcome>
  /**
   * Looks into the provider's own log for this message, which may have left at `sinceMs` (milliseconds since 1970) or
   * later. Resolves always, within 3 s.
   */
  find?(message: Message, sinceMs: number, signal: AbortSignal): Promise<Findings>
  status(): ProviderStatus
  /** False while it is known to take no message: then none need be handed over. */
  canSend(): boolean
  /** Stops at once: what is still in flight resolves as `unknown`. Idempotent. */
  close(): Promise<void>
}

/** A provider that is none of several in one. */
export interface Road extends Provider {
  /** When it last became ready, by the monotonic clock; 0 when it never did. */
  readySinceMs(): number
}

/** `absent`: the log has no such message. `unknowable`: the log cannot be read, or does not tell. */
export type Findings = Extract<Outcome, { kind: 'found' }> | 'absent' | 'unknowable'

export type ReceiptListener = (receipt: Receipt) => void

/** Called once or more for each message, in no certain order. What comes while no link is up is not told later. */
export type InboundListener = (message: Inbound) => void

/** To be asked for what one cannot send is a mistake in the settings; a worker with others may do it. */
export const NOT_OURS: Outcome = { kind: 'busy', reason: 'misconfigured' }

/** What a message comes to that was not handed over because of this status. */
export function notSent(status: ProviderStatus): Outcome {
  return { kind: 'busy', reason: status === 'unauthorized' ? 'credentials_refused' : 'not_connected' }
}
