/** A moment by two clocks, each of which has its own way of saying that too little time has passed. */
export type Moment = { monotonicMs: number; wallMs: number }

/**
 * Milliseconds from one moment to another, by whichever clock says more: on Linux the monotonic one stands still while
 * the host is suspended, and the wall clock may be set back.
 */
export function msBetween(from: Moment, to: Moment): number {
  return Math.max(to.monotonicMs - from.monotonicMs, to.wallMs - from.wallMs)
}
