/** What can be seen of the service from outside: what callers asked and were told, and what arrived on phones. */
import { REFERENCE_PARAMETER } from '#providers/signalwire-callbacks.ts'
import type { Sandbox } from '#sandbox/sandbox.ts'

/** As GET tells it. */
export type View = {
  status: string
  created_at: string
  expires_at: string
  sends: {
    send: number
    status: string
    queued_at: string
    timeline: { attempt: number; outcome: string; reason?: string; provider?: string; started_at: string }[]
    possible_duplicate: boolean
  }[]
}

/** One call, from before it was made until its answer, or its failure, was there. Times are Date.now(). */
export type Call = {
  what: 'start' | 'resend' | 'check' | 'cancel' | 'read'
  askedAtMs: number
  tookMs: number
  /** Absent: the connection broke before an answer came. */
  status?: number
  retryAfter?: string | null
  problem?: string
}

export type Check = {
  call: Call
  /** Whoever sends the same key again is told the same again. */
  key: string
  code: string
  result?: string
}

/** A verification as its caller came to know it. */
export type Known = {
  id: string
  to: string
  checks: Check[]
  /** When the answer came that ended it: an approval, or a cancellation. */
  endedAtMs?: number
  /** The last look at it; `undefined` when it was never found again. */
  view?: View
}

/** A message on a phone. `reference` is ours, as the provider gives it back. */
export type Arrived = {
  reference: string
  to: string
  body: string
  atMs: number
  road: 'websocket' | 'REST'
}

/** An event as its receiver took it. `verification` is '' where it is about none. */
export type Told = { type: string; verification: string; signed: boolean }

/** Between these the service knew that this number wants no messages, whatever was on its way. */
export type Stop = { to: string; fromMs: number; untilMs: number; lifted?: boolean }

/**
 * `healedAtMs`: when nothing was broken any more; absent where that is not known. `told`: absent where there is no
 * receiver.
 */
export type History = {
  calls: Call[]
  known: Known[]
  arrived: Arrived[]
  stops: Stop[]
  healedAtMs?: number
  told?: readonly Told[]
}

/** Over the websocket the reference is a tag of the message, over REST it stands in the address for news of it. */
export function arrivalOf({
  to,
  body,
  atMs,
  tags,
  callback,
}: ReturnType<Sandbox['messages']>[number]): Arrived {
  const query = URL.parse(callback ?? '')?.searchParams
  const road = callback === undefined ? 'websocket' : 'REST'
  return { to, body, atMs, road, reference: tags[0] ?? query?.get(REFERENCE_PARAMETER) ?? '' }
}

export const codeIn = ({ body }: Pick<Arrived, 'body'>) => /^\d{6}/.exec(body)?.[0] ?? ''

/** Which verification and which send of it a message belongs to. */
export function sendOf({ reference }: Pick<Arrived, 'reference'>): { id: string; send: number } {
  const [, id = '', send = ''] = reference.split('/')
  return { id, send: Number(send) }
}
