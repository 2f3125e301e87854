/**
 * Which line a send waits in: each of our numbers has one for its messages, and calls have one together. Programs that
 * are configured alike mean the same lines.
 */
import { CALLS_PER_SECOND, chooseSender, type Sender } from '#verification/sender.ts'
import type { Channel } from '#verification/verification.ts'
import type { Keys } from './keys.ts'
import { luaLines } from './lua-policy.ts'

const SECOND_MS = 1_000
const CALLS = 'calls'

type Line = { key: string; paceKey: string; segmentMs: number; number?: string }

export function createLines({ keys, senders }: { keys: Keys; senders: readonly Sender[] }) {
  const lineFor = (name: string, perSecond: number): Line => ({
    key: keys.line(name),
    paceKey: keys.pace(name),
    segmentMs: SECOND_MS / perSecond,
  })
  const calls = lineFor(CALLS, CALLS_PER_SECOND)
  const messages = senders.map(({ number, perSecond }) => ({ ...lineFor(number, perSecond), number }))
  const numbers = new Map(messages.map(({ key, number }) => [key, number]))

  return {
    /** In front of the scripts that ask them. */
    lua: luaLines([...messages, calls]),
    /** @param tag the destination's keyed tag */
    lineOf(tag: string, channel: Channel): { key: string } {
      if (channel === 'call') return calls
      return { key: keys.line(chooseSender(senders, tag, channel).number) }
    },
    /** The number that a send of this line goes out from. */
    senderOf({ line, tag, channel }: { line: string; tag: string; channel: Channel }): string {
      return numbers.get(line) ?? chooseSender(senders, tag, channel).number
    },
    /** What a message costs its line: a call is one, however long it speaks. */
    segmentsIn: (channel: Channel, segments: number): number => (channel === 'call' ? 1 : segments),
  }
}
