/**
 * The promises P1 to P9, asked of a history from outside: every sentence returned is one that was broken. Knows the
 * policy's numbers and nothing of how the service works.
 */
import { DEFAULT_POLICY } from '#verification/policy.ts'
import {
  type Arrived,
  type Call,
  codeIn,
  type History,
  type Known,
  type Stop,
  sendOf,
  type Told,
  type View,
} from './history.ts'

/** Clocks are read in different processes, and a busy machine reads them late. */
const SLACK_MS = 1_000
/** A claim is acted on within a third of its lease. */
const ACT_WITHIN_MS = DEFAULT_POLICY.leaseMs / 3
const ANSWER_WITHIN_MS = 2_000
/** The longest wait between two tries. */
const WAIT_MS = 15_000
/** The longest wait after the provider said "not now" once or twice in a row; what it was busy for before is no matter. */
const REFUSED_WAIT_MS = 2_000
/** A dead worker's job is run again within 20 s, and may have to wait for its next try then. */
const RECOVER_WITHIN_MS = 20_000 + WAIT_MS

/** Nothing left for these, as the service tells it. */
const UNSENT = ['queued', 'expired', 'canceled', 'superseded', 'suppressed', 'rejected']
const SENT = ['accepted', 'delivered', 'undelivered', 'failed']
const IN_BETWEEN = ['queued', 'submitting']

export function brokenPromises(history: History): string[] {
  const arrivals = Map.groupBy(history.arrived, (message) => sendOf(message).id)
  const ends = history.told && endsTold(history.told)
  return [
    ...history.known.flatMap((known) => [
      ...brokenByChecks(known, arrivals.get(known.id) ?? []),
      ...brokenBySends(known, arrivals.get(known.id) ?? []),
      ...brokenByStop(known, history.stops),
      ...brokenByTelling(known, ends),
      ...brokenByNobody(known, history.healedAtMs ?? Number.POSITIVE_INFINITY),
    ]),
    ...(history.told ?? [])
      .filter(({ signed }) => !signed)
      .map(({ type }) => `P8 ${type} was told with a wrong signature`),
    ...history.arrived.flatMap(brokenByStranger),
    ...history.calls.flatMap(brokenByAnswer),
  ]
}

function brokenByChecks({ id, checks, view }: Known, arrived: readonly Arrived[]): string[] {
  const broken: string[] = []
  const approved = checks.filter(({ result }) => result === 'approved')
  if (new Set(approved.map(({ key }) => key)).size > 1) broken.push(`P1 ${id}: approved more than once`)
  const codes = new Set(arrived.map(codeIn))
  for (const { code, call } of approved) {
    if (!codes.has(code)) broken.push(`P1 ${id}: approved with a code that never arrived`)
    if (view && call.askedAtMs > Date.parse(view.expires_at) + SLACK_MS)
      broken.push(`P3 ${id}: approved after its time`)
  }
  const wrong = new Set(checks.filter(({ result }) => result === 'wrong').map(({ key }) => key))
  if (wrong.size > DEFAULT_POLICY.checksMax) broken.push(`P2 ${id}: ${wrong.size} wrong codes were taken`)
  if (view && approved.length > 0 && view.status !== 'approved')
    broken.push(`P1 ${id}: approved, and then ${view.status}`)
  return broken
}

function brokenBySends(known: Known, arrived: readonly Arrived[]): string[] {
  const { id, view } = known
  if (!view) return [`P4 ${id}: taken, and never seen again`]
  if (new Set(arrived.map(codeIn)).size > 1) return [`P5 ${id}: more than one code arrived`]
  const strangers = arrived.filter(({ to }) => to !== known.to)
  if (strangers.length > 0) return [`P5 ${id}: its code arrived at another number`]
  return view.sends.flatMap((send) => {
    const own = arrived.filter((message) => sendOf(message).send === send.send)
    return brokenBySend(known, view, send, own).map((what) => `${what} (${id}, send ${send.send})`)
  })
}

/** Whoever judges must see whose it is; what carries no code, such as an answer to STOP, is nobody's send. */
function brokenByStranger(message: Arrived): string[] {
  return codeIn(message) !== '' && sendOf(message).id === '' ? ['P5 a code arrived that names no send'] : []
}

function brokenBySend(
  { endedAtMs }: Known,
  view: View,
  send: View['sends'][number],
  arrived: readonly Arrived[],
): string[] {
  const broken: string[] = []
  const unknown = send.timeline.filter(({ outcome }) => outcome === 'unknown').length
  if (IN_BETWEEN.includes(send.status)) broken.push(`P7 it stays ${send.status}`)
  if (arrived.length > 2) broken.push(`P5 ${arrived.length} messages`)
  if (arrived.length > 1 && unknown === 0) broken.push('P5 two messages and no attempt unknown')
  if (arrived.length > 1 && !send.possible_duplicate) broken.push('P7 two messages and no word of it')
  if (arrived.length > 0 && UNSENT.includes(send.status))
    broken.push(`P7 it arrived and is told as ${send.status}`)
  if (arrived.length === 0 && SENT.includes(send.status))
    broken.push(`P7 told as ${send.status} and never arrived`)

  const next = view.sends.find((other) => other.send === send.send + 1)
  const over = Math.min(
    Date.parse(view.expires_at) - DEFAULT_POLICY.sendReserveMs,
    endedAtMs ?? Number.POSITIVE_INFINITY,
    next ? Date.parse(next.queued_at) : Number.POSITIVE_INFINITY,
  )
  const late = send.timeline.filter(({ started_at }) => Date.parse(started_at) > over + SLACK_MS)
  if (late.length > 0) broken.push('P6 an attempt began when nothing was to leave any more')
  const begun = send.timeline
    .filter(({ outcome }) => outcome !== 'busy')
    .map((one) => Date.parse(one.started_at))
  for (const { atMs } of arrived) {
    const inTime = begun.some((at) => atMs > at - SLACK_MS && atMs < at + ACT_WITHIN_MS + SLACK_MS)
    if (!inTime) broken.push('P6 a message left outside of every attempt')
    if (atMs > Date.parse(view.expires_at) - DEFAULT_POLICY.sendReserveMs + SLACK_MS)
      broken.push('P6 a message left after the last moment')
  }
  return broken
}

/** No claim is given for a number that said STOP; what was claimed before may be in a worker's hands a little longer. */
function brokenByStop({ id, to, view }: Known, stops: readonly Stop[]): string[] {
  const begun = (view?.sends ?? []).flatMap(({ timeline }) =>
    timeline.map((one) => Date.parse(one.started_at)),
  )
  return stops
    .filter((stop) => stop.to === to)
    .filter(({ fromMs, untilMs }) => begun.some((at) => at > fromMs + SLACK_MS && at < untilMs))
    .map(() => `P6 ${id}: an attempt began between STOP and START`)
}

/** Told at least once, in no order, after however many tries. */
function brokenByTelling(known: Known, ends: ReadonlySet<string> | undefined): string[] {
  const untold = ends !== undefined && isUntold(known, ends)
  return untold ? [`P7 ${known.id}: ${known.view?.status}, and that was never told`] : []
}

/** The ends that were told with a good signature. */
export const endsTold = (told: readonly Told[]): ReadonlySet<string> =>
  new Set(told.filter(({ signed }) => signed).map(({ type, verification }) => `${type} ${verification}`))

/** Whether it has an end that is not among these. */
export const isUntold = ({ id, view }: Known, ends: ReadonlySet<string>): boolean =>
  view !== undefined && view.status !== 'pending' && !ends.has(`verification.${view.status} ${id}`)

/**
 * What had time enough after all was well again must not run out of it. Where the provider itself says "not now" of one
 * message (the sandbox's busy number does, twice), that message waits a moment more each time. Any other reason is one of
 * ours, and no excuse.
 */
function brokenByNobody({ id, view }: Known, healedAtMs: number): string[] {
  if (!view) return []
  const lastMoment = Date.parse(view.expires_at) - DEFAULT_POLICY.sendReserveMs
  const enough = ({ queued_at, timeline }: View['sends'][number]) => {
    const refused = timeline.filter(
      ({ reason, started_at }) => reason === 'rate_limited' && Date.parse(started_at) > healedAtMs,
    )
    const leftMs = lastMoment - Math.max(healedAtMs, Date.parse(queued_at))
    return leftMs > RECOVER_WITHIN_MS + refused.length * REFUSED_WAIT_MS
  }
  return view.sends
    .filter((send) => send.status === 'expired' && enough(send))
    .map(({ send }) => `P4 it expired though nothing was wrong any more (${id}, send ${send})`)
}

function brokenByAnswer({ what, status, tookMs, retryAfter, problem }: Call): string[] {
  const broken: string[] = []
  // Without an answer the API itself was killed; that is told apart by whoever made the call.
  if (status === undefined) return broken
  if (tookMs > ANSWER_WITHIN_MS) broken.push(`P9 ${what}: answered ${status} after ${Math.round(tookMs)} ms`)
  if (status >= 500 && status !== 503) broken.push(`P9 ${what}: answered ${status}`)
  if (status === 503 && !retryAfter) broken.push(`P9 ${what}: 503 ${problem} without Retry-After`)
  return broken
}
