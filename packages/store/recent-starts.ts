/**
 * Which numbers this process has just sent to or refused, which lines were full, and until when the same start is most
 * likely refused. A guess that saves work, never a decision: the script decides, and asks for what was not made.
 */
import type { Refused } from '#verification/refusal.ts'
import { createMemory } from '#verification/remember.ts'

const REMEMBERED_MAX = 10_000
/** A number that told us to stop seldom tells us to start a moment later. */
const OPTED_OUT_MS = 60_000

type Result = Refused | { kind: 'started' | 'sent_again'; nowMs: number; nextSendAtMs?: number }

export function createRecentStarts() {
  const refusedUntil = createMemory<number>(REMEMBERED_MAX)
  return {
    isLikely: (name: string): boolean => (refusedUntil.get(name) ?? 0) > performance.now(),
    note(name: string, result: Result): void {
      const waitMs = waitOf(result)
      if (waitMs !== undefined) refusedUntil.set(name, performance.now() + waitMs)
    },
  }
}

function waitOf(result: Result): number | undefined {
  if (result.kind === 'refused')
    return result.refusal === 'recipient_opted_out' ? OPTED_OUT_MS : result.retryAfterMs
  return result.nextSendAtMs === undefined ? undefined : result.nextSendAtMs - result.nowMs
}
