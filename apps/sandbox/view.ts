/** A message as a viewer sees it: the code found in its text, the state in words, the number with spaces. */
import type { Message } from './inbox.ts'

/** `code` is the digits to copy, empty when the text holds none. `at` is ISO 8601. */
export type View = {
  id: string
  to: string
  toText: string
  from: string
  fromText: string
  body: string
  code: string
  channel: Message['channel']
  state: Message['state']
  reason: string
  at: string
}

export function viewOf({ id, to, from, body, channel, state, failure, atMs }: Message): View {
  const at = new Date(atMs).toISOString()
  const texts = { toText: spaced(to), fromText: spaced(from) }
  return {
    id,
    to,
    from,
    ...texts,
    body,
    code: codeIn(body),
    channel,
    state,
    reason: failure?.reason ?? '',
    at,
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
