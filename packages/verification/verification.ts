/**
 * The claim that a person holds a destination: its words (ids, applications, purposes, states) and what is shown of
 * it. Every state machine of the service is drawn in docs/states.md with these words.
 */
import { randomUUID } from 'node:crypto'
import type { Outcome } from './outcome.ts'

declare const idBrand: unique symbol
export type VerificationId = string & { readonly [idBrand]: true }

/** 122 random bits. Without dashes: the id stands in four keys and a job, whose values stay compact up to 64 bytes. */
const idShape = /^[0-9a-f]{32}$/

export function newVerificationId(): VerificationId {
  return randomUUID().replaceAll('-', '') as VerificationId
}

export function parseVerificationId(text: string): VerificationId | undefined {
  return idShape.test(text) ? (text as VerificationId) : undefined
}

declare const applicationBrand: unique symbol
/** The holder of an API key. Part of every Redis key, so its alphabet is narrow. */
export type Application = string & { readonly [applicationBrand]: true }

const name = /^[a-z0-9][a-z0-9_-]{0,31}$/

export function parseApplication(text: string): Application | undefined {
  return name.test(text) ? (text as Application) : undefined
}

/** What the page starts belongs to an application of its own. */
export const FORM_APPLICATION = 'form' as Application

declare const purposeBrand: unique symbol
/** What a verification is for; a code for one purpose is a wrong code for another. */
export type Purpose = string & { readonly [purposeBrand]: true }

export const DEFAULT_PURPOSE = 'default' as Purpose

export function parsePurpose(text: string): Purpose | undefined {
  return name.test(text) ? (text as Purpose) : undefined
}

export const CHANNELS = ['sms', 'call'] as const
export type Channel = (typeof CHANNELS)[number]

export type VerificationStatus = 'pending' | 'approved' | 'canceled' | 'expired' | 'exhausted'

/** States of a send in the ledger; docs/states.md draws how one follows another. */
export type SendState =
  | 'queued'
  | 'submitting'
  | 'accepted'
  | 'delivered'
  | 'undelivered'
  | 'failed'
  | 'rejected'
  | 'expired'
  | 'canceled'
  | 'superseded'
  | 'suppressed'
  | 'unknown'

/**
 * One try of ours at a send. `submitting` is in hand. Only the first, the last ones and those that may have left are
 * kept; `provider` and `from` are absent where nobody was asked.
 */
export type AttemptView = {
  number: number
  outcome: Outcome['kind'] | 'submitting'
  provider?: string
  from?: string
  reason?: string
  startedAtMs: number
  endedAtMs?: number
  messageId?: string
}

/** One order to deliver the code, as the ledger has it. Times are Redis's, in milliseconds since 1970. */
export type SendView = {
  number: number
  state: SendState
  queuedAtMs: number
  updatedAtMs: number
  attempts: number
  timeline: AttemptView[]
  possibleDuplicate: boolean
  reason?: string
  messageId?: string
}

export type VerificationView = {
  id: VerificationId
  /** The last four digits; the whole number is gone from the store once the verification has ended. */
  maskedDestination: string
  channel: Channel
  locale: string
  purpose: Purpose
  status: VerificationStatus
  createdAtMs: number
  expiresAtMs: number
  /** Absent when no send is left or the verification has ended. */
  nextSendAtMs?: number
  sendsLeft: number
  checksLeft: number
  sends: SendView[]
  /** The rules of the gate that spoke up about the last send, as `rule=mode ...`; empty when none did. */
  explain: string
}

/** Points at one send: all that a job of the queue holds. */
export type SendReference = { application: Application; verification: VerificationId; send: number }

/** A send reference as one opaque word: what we put on a message to know it again in a receipt. */
export function formatReference({ application, verification, send }: SendReference): string {
  return `${application}/${verification}/${send}`
}

export function parseReference(text: string): SendReference | undefined {
  const [first = '', second = '', third = ''] = text.split('/')
  const application = parseApplication(first)
  const verification = parseVerificationId(second)
  if (!application || !verification || !/^[1-9][0-9]?$/.test(third)) return undefined
  return { application, verification, send: Number(third) }
}

/** What we put on an automatic answer in place of a send's reference: it belongs to no send. */
export const REPLY_REFERENCE = 'reply'

/** What a check came to. A wrong code is a verdict, not a refusal. */
export type Verdict = 'approved' | 'wrong' | 'expired' | 'exhausted' | 'canceled' | 'already_used'
