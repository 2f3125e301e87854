/**
 * What a person writes back from a phone: shown beside what arrived there, and brought to where our numbers are pointed,
 * as SignalWire does it: to a URL, or else to one client that listens to the topic of the number. A message nobody
 * listens for is lost.
 */
import type { Callbacks } from './callbacks.ts'
import { inboundFields } from './compatibility-shapes.ts'
import { asParams, BODY_MAX, isNumber, isSender } from './frames.ts'
import type { Inbox, Message } from './inbox.ts'
import type { Relay } from './relay.ts'

export type Answer = { from: string; to: string; body: string }

export type Answers = {
  take(answer: Answer): Message
  /** From a phone to whoever wrote to it last; undefined when nobody has. */
  reply(phone: string, body: string): Message | undefined
}

const UNHEARD = { reason: 'No client listens', code: 0, name: 'no_client' }
const UNTAKEN = { reason: 'The URL did not take it', code: 11200, name: 'http_retrieval_failure' }

type Parts = { inbox: Inbox; relay: Relay; callbacks: Callbacks; inboundUrl: string }

/** @param parts.inboundUrl where all numbers are pointed; '' for the websocket */
export function createAnswers({ inbox, relay, callbacks, inboundUrl }: Parts): Answers {
  /**
   * Numbers have no settings here: one belongs to the topic it last wrote on (REST knows none), and else to whatever is
   * listened to.
   */
  function topicOf(number: string): string | undefined {
    const wroteOn = ({ from, channel, callback }: Message) =>
      from === number && channel === 'sms' && callback === undefined
    return inbox.list().find(wroteOn)?.context
  }

  function take({ from, to, body }: Answer): Message {
    const context = topicOf(to) ?? relay.anyContext() ?? 'default'
    const message = inbox.answer({ from, to, body, channel: 'sms', context, tags: [] })
    if (inboundUrl !== '') void post(message)
    else if (relay.bring(message)) inbox.advance(message, { state: 'delivered', atMs: 0 })
    else inbox.advance(message, { state: 'undelivered', atMs: 0, failure: UNHEARD })
    return message
  }

  async function post(message: Message): Promise<void> {
    const taken = await callbacks.to(inboundUrl)({ kind: 'form', fields: inboundFields(message) })
    if (taken) inbox.advance(message, { state: 'delivered', atMs: 0 })
    else inbox.advance(message, { state: 'undelivered', atMs: 0, failure: UNTAKEN })
  }

  return {
    take,
    reply(phone, body) {
      const last = inbox.list({ phone }).find(({ channel }) => channel === 'sms')
      const answer = last && parseAnswer({ from: phone, to: last.from, body })
      return answer && take(answer)
    },
  }
}

/** undefined when a number or the text is none. */
export function parseAnswer(value: unknown): Answer | undefined {
  const { from, to, body } = asParams(value)
  if (!isNumber(from) || !isSender(to) || typeof body !== 'string') return undefined
  return body === '' || body.length > BODY_MAX ? undefined : { from, to, body }
}
