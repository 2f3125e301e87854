/** Opens the relay provider against a scripted relay for one test, and ends both with it. */
import { onTestFinished, vi } from 'vitest'
import type { Provider, ProviderStatus, TextMessage } from '#providers/provider.ts'
import { createSignalWireRelay, type SignalWireRelayOptions } from '#providers/signalwire-relay.ts'
import { type Script, type ScriptedRelay, startScriptedRelay } from '#test/fixtures/scripted-relay.ts'
import type { Inbound } from '#verification/keyword.ts'
import type { Outcome, Receipt } from '#verification/outcome.ts'
import { MESSAGE } from './relay-message.ts'

export async function openRelay(script: Partial<Script> = {}): Promise<ScriptedRelay> {
  const relay = await startScriptedRelay(script)
  onTestFinished(() => relay.down())
  return relay
}

type OpenProvider = {
  provider: Provider
  send(message?: Partial<TextMessage>, signal?: AbortSignal): Promise<Outcome>
  receipts: Receipt[]
  inbound: Inbound[]
  statuses: ProviderStatus[]
  /** Waits until the provider shows that status now. */
  reaches(status: ProviderStatus): Promise<void>
}

export function openProvider(
  relay: ScriptedRelay,
  options: Partial<SignalWireRelayOptions> = {},
): OpenProvider {
  const receipts: Receipt[] = []
  const inbound: Inbound[] = []
  const statuses: ProviderStatus[] = []
  const provider = createSignalWireRelay({
    project: 'project',
    token: 'token',
    host: relay.url,
    backoff: { minMs: 20, maxMs: 100, refusedMinMs: 20, refusedMaxMs: 100 },
    onReceipt: (receipt) => receipts.push(receipt),
    onInbound: (message) => inbound.push(message),
    onStatus: (status) => statuses.push(status),
    ...options,
  })
  onTestFinished(() => provider.close())
  return {
    provider,
    send: (message, signal = new AbortController().signal) =>
      provider.send({ ...MESSAGE, ...message }, signal),
    receipts,
    inbound,
    statuses,
    reaches: (status) => eventually(() => provider.status() === status, `the provider is ${status}`),
  }
}

/**
 * Polls until `holds`, and says what it waited for when that does not come. A thread starts in 0.2 s on an idle machine;
 * eight seconds end before the SDK's own ten, which must not be what a test sees.
 */
export function eventually(holds: () => boolean, what: string | (() => string)): Promise<void> {
  return vi.waitFor(
    () => {
      if (!holds()) throw new Error(`still waiting: ${typeof what === 'string' ? what : what()}`)
    },
    { timeout: 8_000, interval: 5 },
  )
}
