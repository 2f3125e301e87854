/** How a verification is shown to callers: snake_case, ISO 8601 times, a masked number, never the code. */
import type { Started } from '#store/verifications.ts'
import type { Challenge } from '#verification/challenge.ts'
import { type Destination, maskDestination } from '#verification/destination.ts'
import type { AttemptView, Purpose, SendView, VerificationView } from '#verification/verification.ts'

const iso = (ms: number) => new Date(ms).toISOString()

/** What start and resend answer: the verification as the script left it. */
export function startedAnswer(started: Started, destination: Destination, purpose: Purpose) {
  return {
    id: started.id,
    to: maskDestination(destination),
    channel: started.channel,
    locale: started.locale,
    purpose,
    status: 'pending',
    delivery: { status: 'queued', send: started.send, attempts: 0, updated_at: iso(started.nowMs) },
    created_at: iso(started.createdAtMs),
    expires_at: iso(started.expiresAtMs),
    next_send_at: started.nextSendAtMs === undefined ? null : iso(started.nextSendAtMs),
    sends_left: started.sendsLeft,
    checks_left: started.checksLeft,
  }
}

export function verificationAnswer(view: VerificationView) {
  const last = view.sends.at(-1)
  return {
    id: view.id,
    to: view.maskedDestination,
    channel: view.channel,
    locale: view.locale,
    purpose: view.purpose,
    status: view.status,
    delivery: last === undefined ? null : deliveryAnswer(last),
    created_at: iso(view.createdAtMs),
    expires_at: iso(view.expiresAtMs),
    next_send_at: view.nextSendAtMs === undefined ? null : iso(view.nextSendAtMs),
    sends_left: view.sendsLeft,
    checks_left: view.checksLeft,
    sends: view.sends.map(sendAnswer),
    explain: explainAnswer(view.explain),
  }
}

function deliveryAnswer(send: SendView) {
  return {
    status: send.state,
    send: send.number,
    attempts: send.attempts,
    updated_at: iso(send.updatedAtMs),
    ...(send.reason === undefined ? {} : { reason: send.reason }),
  }
}

function sendAnswer(send: SendView) {
  return {
    send: send.number,
    status: send.state,
    queued_at: iso(send.queuedAtMs),
    updated_at: iso(send.updatedAtMs),
    attempts: send.attempts,
    timeline: send.timeline.map(attemptAnswer),
    possible_duplicate: send.possibleDuplicate,
    ...(send.reason === undefined ? {} : { reason: send.reason }),
    ...(send.messageId === undefined ? {} : { provider_message_id: send.messageId }),
  }
}

/** Alarms are for whoever runs the service, not for its callers. */
function explainAnswer(explain: string) {
  const rules = explain.split(' ').map((word) => word.split('='))
  return rules.flatMap(([rule, mode]) => (mode === undefined || mode === 'alarm' ? [] : [{ rule, mode }]))
}

function attemptAnswer(attempt: AttemptView) {
  return {
    attempt: attempt.number,
    outcome: attempt.outcome,
    reason: attempt.reason,
    provider: attempt.provider,
    from: attempt.from,
    provider_message_id: attempt.messageId,
    started_at: iso(attempt.startedAtMs),
    ended_at: attempt.endedAtMs === undefined ? undefined : iso(attempt.endedAtMs),
  }
}

/** What the caller passes on to whoever wants the code, and sends back solved. */
export function challengeAnswer({ token, bits, expiresAtMs }: Challenge) {
  return { kind: 'proof_of_work', token, bits, expires_at: iso(expiresAtMs) }
}
