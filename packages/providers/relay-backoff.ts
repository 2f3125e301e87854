/**
 * Decides how long to wait before dialling again: longer after each loss, much longer after refused credentials, and
 * never the same for two programs, so that a relay that comes back is not met by all of them at once.
 */
export type BackoffOptions = {
  /** Longest wait after the first link that failed or was lost, doubling up to `maxMs`. Default 250 ms and 15 s. */
  minMs?: number
  maxMs?: number
  /** The same after refused credentials. Default 30 s and 5 minutes. */
  refusedMinMs?: number
  refusedMaxMs?: number
}

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
  const { minMs = 250, maxMs = 15_000, refusedMinMs = 30_000, refusedMaxMs = 300_000 } = options
  let losses = 0
  let refusals = 0
  return {
    afterLoss(lastedMs) {
      if (lastedMs >= GOOD_LINK_MS) losses = 0
      return jitter(Math.min(maxMs, minMs * 2 ** losses++))
    },
    afterRefusal: () => jitter(Math.min(refusedMaxMs, refusedMinMs * 2 ** refusals++)),
    connected() {
      refusals = 0
    },
  }
}

/** Between a half and the whole of `ms`. */
function jitter(ms: number): number {
  return Math.round((ms * (1 + Math.random())) / 2)
}
