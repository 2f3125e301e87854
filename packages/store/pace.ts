/** The pace of our numbers for messages that stand in no line: they leave as codes do, no faster than SignalWire takes. */
import type { Redis } from 'ioredis'
import type { Policy } from '#verification/policy.ts'
import { parseSender, type Sender } from '#verification/sender.ts'
import type { Keys } from './keys.ts'
import { loadScript, numberAt } from './script.ts'

export type Pace = ReturnType<typeof createPace>

export function createPace(deps: { redis: Redis; keys: Keys; policy: Policy; senders: readonly Sender[] }) {
  const { redis, keys, policy, senders } = deps
  const script = loadScript('pace.lua', policy)
  return {
    /** 0: it may leave now, and counts as having left; else the milliseconds after which to ask again. */
    async take(number: string, segments: number): Promise<number> {
      const sender = senders.find((ours) => ours.number === number) ?? parseSender(number)
      if (!sender) return 0
      const reply = await script(redis, [keys.pace(number)], [segments, 1_000 / sender.perSecond])
      return reply[0] === 'wait' ? numberAt(reply, 1) : 0
    },
  }
}
