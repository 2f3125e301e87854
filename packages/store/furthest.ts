/**
 * How far each of the last sends is known to have come. The ledger of an accepted send only moves forwards, so news that
 * says no more than what is known needs no asking: three of four receipts of a message. A Redis that fails over may have
 * lost what it said, and then any receipt is news again: with the connection, all of it is forgotten.
 */
import type { Redis } from 'ioredis'
import { formatReference, type SendReference, type SendState } from '#verification/verification.ts'

/** At least so many sends, at most twice as many: most receipts come within a second. */
const SENDS_KEPT = 10_000

/** As receipt.lua ranks them; what has no rank is not remembered. */
const RANK: Partial<Record<SendState, number>> = { accepted: 1, undelivered: 2, failed: 2, delivered: 3 }

export function createFurthest(redis: Redis) {
  let young = new Map<string, SendState>()
  let old = new Map<string, SendState>()
  let connection = redis.stream

  function forgetOtherConnections(): void {
    if (connection === redis.stream) return
    connection = redis.stream
    young = new Map()
    old = new Map()
  }

  return {
    note(send: SendReference, state: SendState): void {
      if (RANK[state] === undefined) return
      forgetOtherConnections()
      if (young.size >= SENDS_KEPT) {
        old = young
        young = new Map()
      }
      young.set(formatReference(send), state)
    },
    /** The state a send is known to be in, where `news` would leave it there. */
    beyond(send: SendReference, news: SendState): SendState | undefined {
      forgetOtherConnections()
      const name = formatReference(send)
      const state = young.get(name) ?? old.get(name)
      return state && (RANK[news] ?? 0) <= (RANK[state] ?? 0) ? state : undefined
    },
  }
}
