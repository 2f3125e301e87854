/**
 * Decides how long to wait before dialling again: longer after each loss; a few seconds after refused credentials, which
 * may be a token being rotated, and longer when nobody mends them; and never the same for two programs, so that a relay
 * that comes back is not met by all of them at once.
 */
export type BackoffOptions = {
  /** Longest wait after the first link that failed or was lost, doubling up to `maxMs`. Default 250 ms and 15 s. */
  minMs?: number
  maxMs?: number
  /** The same after refused credentials, where only those after the first dozen double. Default 5 s and one minute. */
  refusedMinMs?: number
  refusedMaxMs?: number
}

/** About as many as a minute has: a rotation is over by then, and whoever has to mend something else takes longer. */
const REFUSALS_OF_A_ROTATION = 12

/** A link that lasted this long was a good one; one that dies sooner each time must not be dialled in a tight loop. */
const GOOD_LINK_MS = 5_000

type Backoff = {
  /** Milliseconds to wait after a link that lasted `lastedMs` (0: it never connected). */
  afterLoss(lastedMs: number): number
  afterRefusal(): number
  /** The credentials were taken. */
  connected(): void
}

export function createBackoff(options: BackoffOptions = {}): Backoff {
  const { minMs = 250, maxMs = 15_000, refusedMinMs = 5_000, refusedMaxMs = 60_000 } = options
  let losses = 0
  let refusals = 0
  return {
    afterLoss(lastedMs) {
      if (lastedMs >= GOOD_LINK_MS) losses = 0
      return jitter(Math.min(maxMs, minMs * 2 ** losses++))
    },
    afterRefusal() {
      const doublings = Math.max(0, ++refusals - REFUSALS_OF_A_ROTATION)
      return jitter(Math.min(refusedMaxMs, refusedMinMs * 2 ** doublings))
    },
    connected() {
      refusals = 0
    },
  }
}

/** Between a half and the whole of `ms`. */
function jitter(ms: number): number {
  return Math.round((ms * (1 + Math.random())) / 2)
}
