/**
 * The numbers messages come from, read by the worker, which sends from them, and by the API, which must know how much
 * they can carry: one reading, so that both mean the same numbers and the same rates.
 */
import { parsePerSecond, parseSender, type Sender } from '#verification/sender.ts'
import { type Kind, listOf, type Reader } from './env.ts'

/** What the sandbox's messages come from; it takes any number. */
const SANDBOX_SENDER = '+12025550199'

const perSecond: Kind<number> = {
  expected: 'segments a second from 0.1 to 100000, such as 4 or 0.5',
  parse: parsePerSecond,
}

const senderAt = (rate: number | undefined): Kind<Sender> => ({
  expected:
    'an E.164 number such as +12025550199, or a short code of 5 or 6 digits, alone or followed by : and its kind (10dlc, toll-free, short-code, canadian) or its segments a second',
  parse: (text) => parseSender(text, rate),
})

export function readSenders(reader: Reader): readonly Sender[] {
  const rate = reader.value<number | undefined>('SENDS_PER_SECOND', perSecond, undefined)
  const kind = senderAt(rate)
  const sandbox = kind.parse(SANDBOX_SENDER)
  const senders = reader.value('SIGNALWIRE_NUMBER', listOf(kind), sandbox ? [sandbox] : [])
  if (new Set(senders.map(({ number }) => number)).size < senders.length) {
    reader.problem('SIGNALWIRE_NUMBER', 'the same number stands there twice')
  }
  return senders
}
