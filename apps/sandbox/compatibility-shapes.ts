/** The words of the Compatibility API for our messages: its resources, and the fields of its status callbacks. */
import type { Message } from './inbox.ts'
import type { MessageState, Step } from './scenarios.ts'
import { segmentsOf } from './segments.ts'

const rfc2822 = (ms: number) => new Date(ms).toUTCString().replace('GMT', '+0000')

export function messageResource(message: Message, project: string): object {
  const uri = `/api/laml/2010-04-01/Accounts/${project}/Messages/${message.id}`
  const at = rfc2822(message.atMs)
  return {
    sid: message.id,
    account_sid: project,
    api_version: '2010-04-01',
    body: message.body,
    num_segments: segmentsOf(message.body),
    num_media: 0,
    date_created: at,
    date_sent: message.state === 'queued' ? null : at,
    date_updated: at,
    direction: 'outbound-api',
    error_code: message.failure?.code ?? null,
    error_message: message.failure?.reason ?? null,
    from: message.from,
    to: message.to,
    price: null,
    price_unit: 'USD',
    status: message.state,
    messaging_service_sid: null,
    uri,
    subresource_uris: { media: `${uri}/Media` },
  }
}

export function callResource(message: Message, project: string): object {
  const at = rfc2822(message.atMs)
  return {
    sid: message.id,
    account_sid: project,
    api_version: '2010-04-01',
    date_created: at,
    date_updated: at,
    direction: 'outbound-api',
    from: message.from,
    to: message.to,
    price: null,
    price_unit: 'USD',
    status: 'queued',
    uri: `/api/laml/2010-04-01/Accounts/${project}/Calls/${message.id}`,
  }
}

/** Callbacks say `sending` where the resource says `initiated`. */
export function messageFields(message: Message, { state, failure }: Step, project: string) {
  const fields: Record<string, string> = {
    MessageSid: message.id,
    MessageStatus: state === 'initiated' ? 'sending' : state,
    AccountSid: project,
    From: message.from,
    To: message.to,
    Body: message.body,
    NumMedia: '0',
    NumSegments: String(segmentsOf(message.body)),
  }
  if (failure) fields.ErrorCode = String(failure.code)
  return [fields]
}

/** What a number that is pointed at a URL posts there for each message that comes to it. */
export function inboundFields({ id, from, to, body }: Message): Record<string, string> {
  return {
    MessageSid: id,
    SmsSid: id,
    AccountSid: 'sandbox',
    MessageStatus: 'received',
    From: from,
    To: to,
    Body: body,
    NumMedia: '0',
    NumSegments: String(segmentsOf(body)),
  }
}

/** A delivered call was answered and has ended. */
const CALL_STATUSES: Record<MessageState, string[]> = {
  queued: ['initiated'],
  initiated: ['ringing'],
  sent: [],
  delivered: ['in-progress', 'completed'],
  undelivered: ['no-answer'],
  failed: ['failed'],
}

export function callFields(message: Message, { state }: Step, project: string): Record<string, string>[] {
  return CALL_STATUSES[state].map((CallStatus) => ({
    CallSid: message.id,
    CallStatus,
    AccountSid: project,
    From: message.from,
    To: message.to,
    Direction: 'outbound-api',
  }))
}
