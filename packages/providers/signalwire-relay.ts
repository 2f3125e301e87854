/**
 * The provider over SignalWire's Realtime websocket: decides which link takes the sends, when it is replaced (lost,
 * silent, worn out) and how soon another is dialled. It never hands a message to a link that is not known to be up,
 * because the SDK would keep it and send it later.
 */
import type { Inbound } from '#verification/keyword.ts'
import type { Outcome, Receipt } from '#verification/outcome.ts'
import { type Message, NOT_OURS, notSent, type ProviderStatus, type Road } from './provider.ts'
import { type BackoffOptions, createBackoff } from './relay-backoff.ts'
import { type EndOfLink, type Link, openLink } from './relay-link.ts'

export type SignalWireRelayOptions = {
  project: string
  token: string
  /** Where the Realtime websocket is, with its scheme; SignalWire's own when left out. */
  host?: string | undefined
  /** SignalWire's routing word for our messages and their receipts. Default `auth`, as in SignalWire's guide. */
  context?: string
  /** In any order, any number of times, from any link. What it throws is the program's fault to report, not ours. */
  onReceipt(receipt: Receipt): void
  /** An SMS to a number that SignalWire routes to `context`; as onReceipt. */
  onInbound(message: Inbound): void
  onStatus?(status: ProviderStatus): void
  /** Default 8,000; must stay well below the SDK's own 10 s, which cost every other send in flight its answer. */
  sendTimeoutMs?: number
  /** The SDK itself waits for ever. Default 10,000. */
  connectTimeoutMs?: number
  /** Bounds what the SDK keeps of sends. A fresh client costs 0.2 s of a core, and is slow for thousands. Default 50,000. */
  sendsPerClient?: number
  backoff?: BackoffOptions
}

const SEND_TIMEOUT_MAX_MS = 9_000

/**
 * Starts connecting at once. A graceful stop awaits its own sends first and then calls close(): close() itself ends what
 * is in flight as unknown. Throws a RangeError for a `sendTimeoutMs` too near the SDK's own.
 */
export function createSignalWireRelay(options: SignalWireRelayOptions): Road {
  const { project, token, host, context = 'auth', onReceipt, onInbound, onStatus } = options
  const { sendTimeoutMs = 8_000, connectTimeoutMs = 10_000, sendsPerClient = 50_000 } = options
  if (!(sendTimeoutMs <= SEND_TIMEOUT_MAX_MS)) {
    throw new RangeError(`sendTimeoutMs must be at most ${SEND_TIMEOUT_MAX_MS}`)
  }
  const backoff = createBackoff(options.backoff)
  const links = new Set<Link>()
  let current: { link: Link; sinceMs: number } | undefined
  let dialling: Link | undefined
  let redial: NodeJS.Timeout | undefined
  let trouble: 'connecting' | 'unreachable' | 'unauthorized' = 'connecting'
  let closed = false
  let shown: ProviderStatus = 'connecting'
  let readySinceMs = 0

  function status(): ProviderStatus {
    if (closed) return 'closed'
    return current ? 'ready' : trouble
  }

  function show(): void {
    const now = status()
    if (now === shown) return
    shown = now
    onStatus?.(now)
  }

  /** One connection comes up at a time, and none while a wait is running: whoever calls, no storm of connects. */
  function dial(): void {
    if (closed || dialling || redial) return
    const link = openLink(
      { dial: { project, token, host, context }, connectTimeoutMs, sendTimeoutMs },
      {
        onReady: () => takeOver(link),
        onReceipt,
        onInbound,
        onSilence: () => replace(link),
        onEnd: (why) => bury(link, why),
      },
    )
    links.add(link)
    dialling = link
  }

  function dialAfter(waitMs: number): void {
    redial ??= setTimeout(() => {
      redial = undefined
      dial()
    }, waitMs)
  }

  function takeOver(link: Link): void {
    const worn = current?.link
    current = { link, sinceMs: performance.now() }
    if (!worn) readySinceMs = current.sinceMs
    dialling = undefined
    trouble = 'connecting'
    backoff.connected()
    worn?.retire()
    show()
  }

  /** A silent link gets no more sends; the answers it still owes may come until their own deadlines. */
  function replace(link: Link): void {
    if (link !== current?.link) return
    current = undefined
    link.retire()
    dial()
    show()
  }

  function bury(link: Link, why: EndOfLink): void {
    void link.end().then(() => links.delete(link))
    if (link === dialling) {
      dialling = undefined
      if (why !== 'ended') failToConnect(why)
    } else if (link === current?.link) {
      const lastedMs = performance.now() - current.sinceMs
      current = undefined
      if (!closed && !dialling) dialAfter(backoff.afterLoss(lastedMs))
    }
    show()
  }

  function failToConnect(why: 'lost' | 'refused'): void {
    trouble = why === 'refused' ? 'unauthorized' : 'unreachable'
    dialAfter(why === 'refused' ? backoff.afterRefusal() : backoff.afterLoss(0))
  }

  dial()
  return {
    name: 'signalwire-relay',
    channels: ['sms'],
    status,
    canSend: () => status() === 'ready',
    readySinceMs: () => readySinceMs,
    async send(message: Message, signal: AbortSignal): Promise<Outcome> {
      if (message.channel !== 'sms') return NOT_OURS
      if (!current) return notSent(status())
      if (signal.aborted) return { kind: 'busy', reason: 'timeout' }
      const { link } = current
      const outcome = link.send(message, signal)
      if (link.sends() >= sendsPerClient) dial()
      return outcome
    },
    async close() {
      closed = true
      clearTimeout(redial)
      await Promise.all([...links].map((link) => link.end()))
      show()
    },
  }
}
