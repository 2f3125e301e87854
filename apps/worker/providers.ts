/** Opens the providers that PROVIDERS names: one alone as it is, several behind a failover. */
import { createFailover } from '#providers/failover.ts'
import type { InboundListener, Provider, ProviderStatus, ReceiptListener, Road } from '#providers/provider.ts'
import { createSignalWireRelay } from '#providers/signalwire-relay.ts'
import { createSignalWireRest } from '#providers/signalwire-rest.ts'
import type { Alarm } from '#runtime/alarm.ts'
import type { Log } from '#runtime/log.ts'
import type { ProviderName } from '#runtime/settings.ts'
import type { WorkerConfig } from './config.ts'

/** `leftAlone`: its breaker lets nothing through; one that is alone has none. */
export type ProviderState = { name: string; ready: boolean; leftAlone: boolean }

export function openProvider(
  config: Pick<WorkerConfig, 'providers' | 'signalwire' | 'restUrl' | 'publicUrl'>,
  deps: { onReceipt: ReceiptListener; onInbound: InboundListener; alarm: Alarm; log: Log },
): { provider: Provider; states: () => ProviderState[] } {
  const { onReceipt, onInbound, alarm, log } = deps
  const { project, token } = config.signalwire
  const say = (provider: string) => (status: ProviderStatus) => {
    log.info({ provider, result: status }, 'provider')
    if (status === 'unauthorized') alarm({ provider, reason: 'credentials_refused' })
  }
  const open: Record<ProviderName, () => Road> = {
    relay: () =>
      createSignalWireRelay({
        ...config.signalwire,
        onReceipt,
        onInbound,
        onStatus: say('signalwire-relay'),
      }),
    rest: () =>
      createSignalWireRest({
        project,
        token,
        baseUrl: config.restUrl,
        callbackUrl: config.publicUrl === '' ? undefined : `${config.publicUrl}/callbacks/signalwire`,
        onStatus: say('signalwire-rest'),
      }),
  }
  const providers = config.providers.map((name) => withAlarm(open[name](), alarm))
  const [only] = providers
  const stateOf = (road: Road, leftAlone: boolean) => ({
    name: road.name,
    ready: road.status() === 'ready',
    leftAlone,
  })
  if (only && providers.length === 1) return { provider: only, states: () => [stateOf(only, false)] }
  const failover = createFailover({
    providers,
    onBreaker: (provider, state) => log.warn({ provider, result: `breaker_${state}` }, 'provider'),
  })
  return {
    provider: withAlarm(failover, alarm),
    states: () => providers.map((road) => stateOf(road, failover.leavesAlone(road.name))),
  }
}

/** Each is heard by itself: what one of several refuses for good shows in no outcome once another one sends. */
function withAlarm<Kind extends Provider>(provider: Kind, alarm: Alarm): Kind {
  return {
    ...provider,
    async send(message, signal) {
      const outcome = await provider.send(message, signal)
      alarm({ provider: provider.name, ...outcome })
      return outcome
    },
  }
}
