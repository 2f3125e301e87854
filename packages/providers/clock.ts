/** The time as it is now, by two clocks; the monotonic one is the one that all threads of a process share. */
import type { Moment } from '#verification/moment.ts'

const NS_PER_MS = 1_000_000

export function momentNow(): Moment {
  return { monotonicMs: Number(process.hrtime.bigint()) / NS_PER_MS, wallMs: Date.now() }
}
