/** Reads a verification's hash into what is shown of it. Nothing here decides: a code past its time reads as expired. */
import type { Policy } from '#verification/policy.ts'
import type {
  AttemptView,
  Channel,
  Purpose,
  SendState,
  SendView,
  VerificationId,
  VerificationStatus,
  VerificationView,
} from '#verification/verification.ts'

export type Hash = Record<string, string>

export function decodeVerification(
  /** What HGETALL and TIME answered. */
  [hash, time]: [Hash, [seconds: string, micros: string]],
  options: { id: VerificationId; policy: Policy },
): VerificationView | undefined {
  if (!hash.status) return undefined
  const now = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000)
  return decodeHash(hash, now, options)
}

function decodeHash(
  hash: Hash,
  now: number,
  { id, policy }: { id: VerificationId; policy: Policy },
): VerificationView {
  const expiresAtMs = Number(hash.expires)
  const status =
    hash.status === 'pending' && expiresAtMs <= now ? 'expired' : (hash.status as VerificationStatus)
  const sends = Number(hash.sends)
  const nextSendAtMs = Number(hash.next_send)
  return {
    id,
    maskedDestination: String(hash.to_masked),
    channel: hash.channel as Channel,
    locale: String(hash.locale),
    purpose: hash.purpose as Purpose,
    status,
    createdAtMs: Number(hash.created),
    expiresAtMs,
    ...(status === 'pending' && nextSendAtMs > 0 ? { nextSendAtMs } : {}),
    sendsLeft: status === 'pending' ? sendsLeftOf(sends, nextSendAtMs, policy) : 0,
    checksLeft: status === 'pending' ? Math.max(0, checksMaxOf(hash, policy) - Number(hash.wrong ?? 0)) : 0,
    sends: Array.from({ length: sends }, (_, index) => decodeSend(hash, index + 1)),
    explain: hash.explain ?? '',
  }
}

/** Whether one more may follow was said when the last one was ordered, maybe by a program with other waits. */
function sendsLeftOf(sends: number, nextSendAtMs: number, { resendWaitsMs }: Policy): number {
  return nextSendAtMs === 0 ? 0 : Math.max(1, resendWaitsMs.length + 1 - sends)
}

/** As windows.lua has it: of a payment no more than of its number. */
function checksMaxOf(hash: Hash, { checksMax, payments }: Policy): number {
  return hash.context_tag ? Math.min(checksMax, payments.wrongMax) : checksMax
}

function decodeSend(hash: Hash, send: number): SendView {
  const field = (name: string) => hash[`${send}:${name}`]
  const reason = field('reason')
  const messageId = field('message')
  const state = field('state') as SendState
  return {
    number: send,
    state,
    queuedAtMs: Number(field('at')),
    updatedAtMs: Number(field('moved') ?? field('at')),
    attempts: Number(field('attempts') ?? 0),
    timeline: decodeTimeline(field),
    possibleDuplicate: Number(field('submitted') ?? 0) > 1,
    ...(reason && state !== 'delivered' && state !== 'accepted' ? { reason } : {}),
    ...(messageId ? { messageId } : {}),
  }
}

type Field = (name: string) => string | undefined

function decodeTimeline(field: Field): AttemptView[] {
  const timeline: AttemptView[] = []
  for (let number = 1; number <= Number(field('attempts') ?? 0); number++) {
    const noted = field(`a${number}`)
    if (noted !== undefined) timeline.push(decodeAttempt(noted, number, field))
  }
  const messageId = field('message')
  const taken = timeline.findLast(({ outcome }) => outcome === 'accepted' || outcome === 'found')
  if (taken && messageId) taken.messageId = messageId
  return timeline
}

/** As ledger.lua notes it. One without an outcome that is not in hand any more is a lost worker's. */
function decodeAttempt(noted: string, number: number, field: Field): AttemptView {
  const [began, provider, outcome, tookMs, reason, other] = noted.split(' ')
  const startedAtMs = Number(field('at')) + Number(began)
  if (outcome === undefined) {
    const inHand = field('state') === 'submitting' && number === Number(field('attempts'))
    return inHand
      ? { number, outcome: 'submitting', startedAtMs }
      : { number, outcome: 'unknown', reason: 'worker_lost', startedAtMs }
  }
  const from = other ?? field('from')
  return {
    number,
    outcome: outcome as AttemptView['outcome'],
    ...(provider && provider !== '-' ? { provider, ...(from ? { from } : {}) } : {}),
    ...(reason ? { reason } : {}),
    startedAtMs,
    endedAtMs: startedAtMs + Number(tookMs),
  }
}
