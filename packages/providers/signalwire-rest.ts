/**
 * The provider over SignalWire's REST: one request a message, and what its answer, or the lack of one, says about
 * whether the message left. The Compatibility API is used because only it takes a validity period: a message that
 * waits in SignalWire's queue longer than its code is worth is dropped there.
 */
import type { Outcome, OutcomeReason } from '#verification/outcome.ts'
import type { Findings, Message, ProviderStatus, Road, SpokenMessage, TextMessage } from './provider.ts'
import { type BackoffOptions, createBackoff } from './relay-backoff.ts'
import { type Answered, createRestClient, type Reply } from './rest-client.ts'
import { REFERENCE_PARAMETER } from './signalwire-callbacks.ts'
import { callOf } from './signalwire-calls.ts'
import { type Refusal, refusalOf } from './signalwire-codes.ts'
import { fieldsOf } from './signalwire-replies.ts'

export type SignalWireRestOptions = {
  project: string
  token: string
  /** `https://SPACE.signalwire.com`, or a stand-in. */
  baseUrl: string
  /** Where status callbacks go, without a query; none are asked for when left out. */
  callbackUrl?: string | undefined
  onStatus?(status: ProviderStatus): void
  /** Default 8,000; below the lease of an attempt. */
  sendTimeoutMs?: number
  /** How often it is asked whether it is well, while it is not known to be. */
  backoff?: BackoffOptions
}

/** SignalWire's bounds of a validity period. */
const VALIDITY_MAX_S = 172_800

const FIND_TIMEOUT_MS = 3_000
/** How often a message finds out whether messages go, where nothing else can. */
const TRY_EVERY_MS = 10_000
const NEVER = new AbortController().signal
/** Newest first; more than one number can have been sent within a code's life. */
const LOG_PAGE = 50
/** Two clocks, and a log that counts in seconds; less than lies between two sends of one code. */
const CLOCKS_APART_MS = 15_000

const busy = (reason: OutcomeReason): Outcome => ({ kind: 'busy', reason })
const unknown = (reason: OutcomeReason): Outcome => ({ kind: 'unknown', reason })

export function createSignalWireRest(options: SignalWireRestOptions): Road {
  const { project, token, baseUrl, callbackUrl, onStatus, sendTimeoutMs = 8_000 } = options
  const client = createRestClient({ baseUrl, user: project, password: token })
  const account = `/api/laml/2010-04-01/Accounts/${encodeURIComponent(project)}`
  const backoff = createBackoff(options.backoff)
  let status: ProviderStatus = 'connecting'
  let readySinceMs = 0
  /**
   * What may be sent while it is unreachable. All: it was well, one answer was lost, and whether more is wrong is not known
   * yet. One now and then: its log answers with a fault, so that only a message can tell.
   */
  let hope: 'all' | 'one' | 'none' = 'none'
  let sentAtMs = Number.NEGATIVE_INFINITY
  let probe: NodeJS.Timeout | 'running' | undefined

  /** There is no connection to look at: the last request says how things stand. */
  function show(now: ProviderStatus): void {
    if (status === 'closed') return
    const before = status
    status = now
    if (now === 'ready') {
      backoff.connected()
      if (before !== now) readySinceMs = performance.now()
    }
    if (now === 'unreachable')
      probeAfter(() => backoff.afterLoss(before === 'ready' ? performance.now() - readySinceMs : 0))
    if (now === 'unauthorized') probeAfter(() => backoff.afterRefusal())
    if (before !== now) onStatus?.(now)
  }

  /**
   * Until it is well again: without sends nobody else would find out. One question at a time, and its wait grows with the
   * questions, not with the sends that fail while it waits.
   */
  function probeAfter(waitMs: () => number): void {
    probe ??= setTimeout(() => {
      probe = undefined
      if (status !== 'ready' && status !== 'closed') void ask()
    }, waitMs())
  }

  /** Asked at once, though it was well a moment ago. */
  function doubt(): void {
    if (probe === undefined) void ask()
  }

  async function ask(): Promise<void> {
    probe = 'running'
    const path = `${account}/Messages?PageSize=1`
    const reply = await client.ask({ method: 'GET', path, timeoutMs: FIND_TIMEOUT_MS, signal: NEVER })
    probe = undefined
    hope = reply.kind === 'answered' ? 'one' : 'none'
    show(statusAfterProbe(reply))
  }

  function callbackFor({ reference }: Message): string | undefined {
    return callbackUrl && `${callbackUrl}?${new URLSearchParams({ [REFERENCE_PARAMETER]: reference })}`
  }

  function orderOfText(message: TextMessage) {
    const text = String(formOf(message, callbackFor(message)))
    return { path: `${account}/Messages`, body: { type: 'application/x-www-form-urlencoded', text } }
  }

  function orderOfCall(message: SpokenMessage) {
    const text = JSON.stringify(callOf(message, callbackFor(message)))
    return { path: '/api/calling/calls', body: { type: 'application/json', text } }
  }

  probeAfter(() => 0)
  return {
    name: 'signalwire-rest',
    channels: ['sms', 'call'],
    status: () => status,
    canSend() {
      if (status !== 'unreachable') return status === 'ready'
      return hope === 'all' || (hope === 'one' && performance.now() - sentAtMs >= TRY_EVERY_MS)
    },
    readySinceMs: () => readySinceMs,
    async send(message: Message, signal: AbortSignal): Promise<Outcome> {
      if (status === 'closed') return busy('not_connected')
      if (signal.aborted) return busy('timeout')
      sentAtMs = performance.now()
      const reply = await client.ask({
        method: 'POST',
        ...(message.channel === 'sms' ? orderOfText(message) : orderOfCall(message)),
        timeoutMs: sendTimeoutMs,
        signal,
      })
      const outcome = outcomeOf(reply)
      const shown = statusAfter(reply, outcome, message)
      if (shown === 'unreachable') {
        if (reply.kind === 'unanswered' && !reply.written) hope = 'none'
        else if (status === 'ready') hope = 'all'
      }
      if (shown === 'doubtful' && status === 'ready') doubt()
      if (shown !== 'doubtful') show(shown)
      return signal.aborted && outcome.kind === 'busy' ? busy('timeout') : outcome
    },
    async find(message: Message, sinceMs: number, signal: AbortSignal): Promise<Findings> {
      if (status === 'closed' || message.channel !== 'sms') return 'unknowable'
      const { to: To, from: From } = message
      const query = new URLSearchParams({ To, From, PageSize: String(LOG_PAGE) })
      const path = `${account}/Messages?${query}`
      const reply = await client.ask({ method: 'GET', path, timeoutMs: FIND_TIMEOUT_MS, signal })
      return reply.kind === 'answered' && reply.status === 200
        ? findingsIn(reply.body, message, sinceMs)
        : 'unknowable'
    },
    async close() {
      show('closed')
      if (probe !== 'running') clearTimeout(probe)
      client.close()
    },
  }
}

function formOf({ from, to, body, validForMs }: TextMessage, callback: string | undefined) {
  const validS = Math.min(VALIDITY_MAX_S, Math.max(1, Math.floor(validForMs / 1_000)))
  return new URLSearchParams({
    From: from,
    To: to,
    Body: body,
    ValidityPeriod: String(validS),
    ...(callback === undefined ? {} : { StatusCallback: callback }),
  })
}

function outcomeOf(reply: Reply): Outcome {
  if (reply.kind === 'answered') return outcomeOfAnswer(reply)
  return reply.written ? unknown(reply.why) : busy('not_connected')
}

/**
 * 2xx needs the id that receipts will name. 4xx is a no, by its code or its number; 5xx only where it says so, because a
 * fault after the message was taken looks like one before. A redirect is never followed, and says nothing.
 */
function outcomeOfAnswer(answer: Omit<Answered, 'kind'>): Outcome {
  const { status, body, retryAfterMs } = answer
  if (status >= 200 && status < 300) return outcomeOfSuccess(body)
  const refusal = refusalIn(answer)
  if (!refusal) return unknown('provider_fault')
  return refusal.kind === 'busy' && retryAfterMs !== undefined ? { ...refusal, retryAfterMs } : refusal
}

function outcomeOfSuccess(body: unknown): Outcome {
  const { sid, id = sid } = fieldsOf(body)
  return typeof id === 'string' && id !== '' ? { kind: 'accepted', messageId: id } : unknown('no_message_id')
}

const REFUSED: Refusal = { kind: 'rejected', reason: 'refused_by_provider' }
/** A space or project that is none: no word about the number, and another road may exist. */
const NOT_THERE: Refusal = { kind: 'busy', reason: 'misconfigured' }

/** Such a code beside a 5xx may stand for a fault after the message was taken. */
const SAYS_NOTHING: ReadonlySet<OutcomeReason> = new Set(['provider_fault', 'carrier_refused'])

/** Undefined where the answer does not say that nothing was sent. */
function refusalIn({ status, body, retryAfterMs }: Omit<Answered, 'kind'>): Refusal | undefined {
  const { code, errors } = fieldsOf(body)
  const [first] = Array.isArray(errors) ? errors : []
  const coded = refusalOf(String(code ?? fieldsOf(first).code))
  if (status >= 400 && status < 500) {
    return coded ?? (status === 404 ? NOT_THERE : refusalOf(String(status))) ?? REFUSED
  }
  const said = status >= 500 && coded && !SAYS_NOTHING.has(coded.reason) ? coded : undefined
  if (status !== 503) return said
  if (coded?.reason === 'provider_fault' || retryAfterMs !== undefined) {
    return said ?? { kind: 'busy', reason: 'provider_fault' }
  }
  return said
}

/**
 * `doubtful`: a fault of theirs, which may be that one message's alone, or a call that the token may not make, which may
 * be good for messages. Then it is asked, and the others go on.
 */
function statusAfter(reply: Reply, outcome: Outcome, { channel }: Message): ProviderStatus | 'doubtful' {
  if (reply.kind === 'unanswered') return 'unreachable'
  const refused = outcome.kind === 'busy' && outcome.reason === 'credentials_refused'
  if (reply.status >= 500 || (refused && channel === 'call')) return 'doubtful'
  return refused ? 'unauthorized' : 'ready'
}

/** Whoever may read the log may send. A space or project that is none answers 404. */
function statusAfterProbe(reply: Reply): ProviderStatus {
  if (reply.kind === 'unanswered') return 'unreachable'
  if ([401, 403, 404].includes(reply.status)) return 'unauthorized'
  return reply.status < 300 || reply.status === 429 ? 'ready' : 'unreachable'
}

/**
 * The message log names no reference of ours: a message is known by its numbers, its time and its text, which holds the
 * code. One that failed has reached nobody, and does not count.
 */
function findingsIn(body: unknown, message: TextMessage, sinceMs: number): Findings {
  const { messages } = fieldsOf(body)
  if (!Array.isArray(messages) || messages.length >= LOG_PAGE) return 'unknowable'
  const candidates = messages.map(fieldsOf).filter(({ to, from, date_created, status }) => {
    const recent = Date.parse(String(date_created)) >= sinceMs - CLOCKS_APART_MS
    return recent && to === message.to && from === message.from && status !== 'failed'
  })
  const same = candidates.find((row) => row.body === message.body)
  if (typeof same?.sid === 'string' && same.sid !== '') return { kind: 'found', messageId: same.sid }
  // A log that keeps no texts cannot tell this code from another.
  return candidates.some((row) => !row.body) ? 'unknowable' : 'absent'
}
