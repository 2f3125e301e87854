/** A message as a viewer sees it: the code found in its text, the state in words, the numbers with spaces. */
import { type Message, phoneOf } from './inbox.ts'

/**
 * `code` is the digits to copy, empty when the text holds none or was written on the phone. `other` is the number the
 * phone got it from or wrote it to. `at` is ISO 8601.
 */
export type View = {
  id: string
  direction: Message['direction']
  to: string
  phone: string
  phoneText: string
  otherText: string
  body: string
  code: string
  channel: Message['channel']
  state: Message['state']
  reason: string
  at: string
}

export function viewOf(message: Message): View {
  const { id, direction, to, from, body, channel, state, failure, atMs } = message
  const phone = phoneOf(message)
  return {
    id,
    direction,
    to,
    phone,
    phoneText: spaced(phone),
    otherText: spaced(direction === 'inbound' ? to : from),
    body,
    code: direction === 'inbound' ? '' : codeIn(body),
    channel,
    state,
    reason: failure?.reason ?? '',
    at: new Date(atMs).toISOString(),
  }
}

/** 4 to 10 digits standing alone or, as a call spells them, apart ("1, 2, 3, 4"); the first such run counts. */
export function codeIn(text: string): string {
  const found = /(?<![\d+])\d{4,10}(?!\d)/.exec(text) ?? /(?<![\d+])\d(?:[ ,.]{1,3}\d){3,9}(?!\d)/.exec(text)
  return found ? found[0].replaceAll(/\D/g, '') : ''
}

function spaced(number: string): string {
  return number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, '+1 $1 $2 $3')
}
