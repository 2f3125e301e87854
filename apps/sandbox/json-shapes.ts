/** The words of the newer JSON APIs for our messages: their resources, and the bodies of their status callbacks. */
import type { Message } from './inbox.ts'
import type { MessageState, Step } from './scenarios.ts'
import { segmentsOf } from './segments.ts'

const isoTime = (ms: number) => new Date(ms).toISOString()

export function messageResource(
  message: Message,
  { project, callbackUrl }: { project: string; callbackUrl: unknown },
) {
  const { id, from, to, body, state, failure, atMs } = message
  return {
    id,
    from,
    to,
    body,
    status: state,
    direction: 'outbound',
    kind: 'sms',
    media: [],
    number_of_segments: segmentsOf(body),
    error_code: failure?.name ?? null,
    error_message: failure?.reason ?? null,
    created_at: isoTime(atMs),
    project_id: project,
    status_callback_url: callbackUrl ?? null,
    message_uri: `/api/messaging/messages/${id}`,
  }
}

export function callResource({ id, from, to, atMs }: Message) {
  return {
    id,
    from,
    to,
    direction: 'outbound-api',
    status: 'queued',
    duration: 0,
    source: 'realtime_api',
    type: 'relay_pstn_call',
    created_at: isoTime(atMs),
  }
}

export function messageNews({ id, to, from, body }: Message, { state, failure }: Step, project: string) {
  return {
    id,
    project_id: project,
    status: state,
    to,
    from,
    body,
    number_of_segments: segmentsOf(body),
    timestamp: isoTime(Date.now()),
    error_code: failure?.name ?? null,
    error_message: failure?.reason ?? null,
  }
}

/** A delivered call was answered and has ended. */
const CALL_STATES: Record<MessageState, readonly string[]> = {
  queued: ['created'],
  initiated: ['ringing'],
  sent: [],
  delivered: ['answered', 'ended'],
  undelivered: ['ended'],
  failed: ['ended'],
}

/** @param wanted the `status_events` asked for; `ended` alone when none were. */
export function callNews(
  { id, from, to, atMs }: Message,
  { state, failure }: Step,
  { project, wanted }: { project: string; wanted: readonly string[] },
): object[] {
  const heard = wanted.length > 0 ? wanted : ['ended']
  const passed = failure?.answered ? CALL_STATES.delivered : CALL_STATES[state]
  const states = passed.filter((callState) => heard.includes(callState))
  const answered = state === 'delivered' || failure?.answered === true
  return states.map((call_state) => ({
    event_type: 'calling.call.state',
    timestamp: Date.now() / 1_000,
    project_id: project,
    params: {
      call_id: id,
      call_state,
      direction: 'outbound',
      device: { type: 'phone', params: { from_number: from, to_number: to } },
      start_time: atMs,
      ...(answered ? { answer_time: Date.now() } : {}),
      ...(call_state === 'ended'
        ? { end_time: Date.now(), end_reason: failure ? (failure.endReason ?? 'noAnswer') : 'hangup' }
        : {}),
    },
  }))
}
