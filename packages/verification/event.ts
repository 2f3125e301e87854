/**
 * Events: what the outside is told of, as a closed union in the words of its JSON. A script writes an event into the
 * outbox in the step that makes the change; this file reads it from there and gives it its id and its body. An event
 * names ids, states and times, and of a number its last four digits: never a code, never a whole number.
 */
import { createHash } from 'node:crypto'
import {
  type Application,
  type Channel,
  FORM_APPLICATION,
  type Purpose,
  parseApplication,
  parseVerificationId,
  type VerificationId,
} from './verification.ts'

const VERIFICATION_EVENTS = [
  'verification.started',
  'verification.approved',
  'verification.exhausted',
  'verification.expired',
  'verification.canceled',
] as const

const SEND_EVENTS = [
  'send.accepted',
  'send.delivered',
  'send.undelivered',
  'send.failed',
  'send.rejected',
  'send.expired',
  'send.unknown',
] as const

export const EVENT_TYPES = [
  ...VERIFICATION_EVENTS,
  ...SEND_EVENTS,
  'number.disabled',
  'limit.reached',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

/** What every event about a verification says of it. `to` is masked. */
type Subject = {
  verification: VerificationId
  application: Application
  purpose: Purpose
  channel: Channel
  to: string
}

/** And of what has moved to where it stands now: the verification, or one of its sends. */
type Moved = Subject & { status: string; reason?: string }

/** What every event is. */
type EventOf<Type extends EventType, Data> = { type: Type; timestamp: string; data: Data }

type VerificationEvent = EventOf<
  (typeof VERIFICATION_EVENTS)[number],
  Moved & {
    sends: number
    created_at: string
    expires_at: string
    /** Of an approval: the wrong codes typed for the number since the one before. OWASP ASVS 5.0 6.3.5. */
    wrong_checks?: number
  }
>

type SendEvent = EventOf<
  (typeof SEND_EVENTS)[number],
  Moved & {
    send: number
    attempts: number
    possible_duplicate: boolean
    queued_at: string
    provider_message_id?: string
  }
>

/** The number of this verification is disabled, by as many wrong codes in a row. OWASP ASVS 5.0 6.3.5. */
type NumberEvent = EventOf<'number.disabled', Subject & { wrong_checks: number }>

/**
 * A budget that many people share: four fifths of it are used (`nearly`), or it has refused somebody (`reached`). Told
 * again only after ten minutes.
 */
type LimitEvent = EventOf<
  'limit.reached',
  {
    limit: string
    state: 'nearly' | 'reached'
    scope: 'application' | 'region' | 'overall'
    application?: Application
    region?: string
  }
>

export type Event = VerificationEvent | SendEvent | NumberEvent | LimitEvent

/** An event on its way. The id is the same however often it is told, so that whoever is told can drop the second. */
export type Told = { id: string; event: Event }

/** How long an event is worth telling. */
export const EVENT_LIFE_MS = 24 * 3_600_000

/** What the scripts wrote, by name. */
type Fields = Readonly<Record<string, string>>

/**
 * Reads an entry of the outbox; `undefined` for one that no version of ours wrote.
 *
 * @param entry its id in the outbox, unique for as long as the outbox lives
 * @param flat names and values in turn, as they were written
 */
export function readEvent(entry: string, flat: readonly string[]): Told | undefined {
  const fields: Record<string, string> = {}
  for (let index = 0; index + 1 < flat.length; index += 2) fields[flat[index] ?? ''] = flat[index + 1] ?? ''
  const event = eventOf(fields)
  return event && { id: idOf(entry, flat), event }
}

/** Many deployments may tell one receiver, so the id is made of all that the event says, and of its entry. */
function idOf(entry: string, flat: readonly string[]): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([entry, flat]))
    .digest('hex')
  return `evt_${digest.slice(0, 32)}`
}

function eventOf(fields: Fields): Event | undefined {
  const type = EVENT_TYPES.find((known) => known === fields.type)
  const timestamp = iso(fields.at)
  if (type === undefined || timestamp === undefined) return undefined
  if (type === 'limit.reached') return limitEvent(timestamp, fields)
  const subject = subjectOf(fields)
  if (!subject) return undefined
  if (type === 'number.disabled')
    return { type, timestamp, data: { ...subject, wrong_checks: Number(fields.wrong) } }
  const status = type.slice(type.indexOf('.') + 1)
  if (isSendEvent(type)) return sendEvent({ type, timestamp }, { ...subject, status }, fields)
  return verificationEvent({ type, timestamp }, { ...subject, status }, fields)
}

function isSendEvent(type: EventType): type is SendEvent['type'] {
  return type.startsWith('send.')
}

function subjectOf(fields: Fields): Subject | undefined {
  const verification = parseVerificationId(fields.verification ?? '')
  const application = parseApplication(fields.application ?? '')
  const { purpose, channel, to } = fields
  if (!verification || !application || !purpose || !channel || !to) return undefined
  return { verification, application, purpose: purpose as Purpose, channel: channel as Channel, to }
}

function verificationEvent(
  head: Pick<VerificationEvent, 'type' | 'timestamp'>,
  subject: Moved,
  fields: Fields,
): VerificationEvent | undefined {
  const [created, expires] = [iso(fields.created), iso(fields.expires)]
  if (!created || !expires) return undefined
  const sends = Number(fields.sends)
  const times = { created_at: created, expires_at: expires }
  const { reason, wrong } = fields
  return {
    ...head,
    data: {
      ...subject,
      sends,
      ...times,
      ...(reason ? { reason } : {}),
      ...(wrong ? { wrong_checks: Number(wrong) } : {}),
    },
  }
}

/** States that need no explanation: a reason that stands there is that of an earlier one. */
const PLAIN = new Set(['accepted', 'delivered'])

function sendEvent(
  head: Pick<SendEvent, 'type' | 'timestamp'>,
  subject: Moved,
  fields: Fields,
): SendEvent | undefined {
  const queued = iso(fields.queued)
  if (!queued) return undefined
  const { reason, message } = fields
  return {
    ...head,
    data: {
      ...subject,
      send: Number(fields.send),
      attempts: Number(fields.attempts),
      possible_duplicate: Number(fields.submitted) > 1,
      queued_at: queued,
      ...(reason && !PLAIN.has(subject.status) ? { reason } : {}),
      ...(message ? { provider_message_id: message } : {}),
    },
  }
}

function limitEvent(timestamp: string, fields: Fields): LimitEvent | undefined {
  const { limit, state, scope, name } = fields
  if (!limit || !name || (state !== 'nearly' && state !== 'reached')) return undefined
  const shared = { limit, state } as const
  const type = 'limit.reached'
  switch (scope) {
    case 'application':
      return { type, timestamp, data: { ...shared, scope, application: name as Application } }
    case 'form':
      return { type, timestamp, data: { ...shared, scope: 'application', application: FORM_APPLICATION } }
    case 'region':
      return { type, timestamp, data: { ...shared, scope, ...regionOf(name) } }
    case 'overall':
      return { type, timestamp, data: { ...shared, scope } }
    default:
      return undefined
  }
}

/** The public form has limits of regions of its own. */
function regionOf(name: string): { region: string; application?: Application } {
  const form = `${FORM_APPLICATION}:`
  if (!name.startsWith(form)) return { region: name }
  return { region: name.slice(form.length), application: FORM_APPLICATION }
}

/** ISO 8601 of a time that a script wrote in milliseconds. */
function iso(ms: string | undefined): string | undefined {
  return ms !== undefined && /^[0-9]{1,15}$/.test(ms) ? new Date(Number(ms)).toISOString() : undefined
}
