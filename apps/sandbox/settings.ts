/** What can be changed while the sandbox runs. */
export type Settings = {
  /** Added before every reply, in milliseconds. */
  latencyMs: number
}

/** A minute: longer than any client waits. */
export const LATENCY_MS_MAX = 60_000

/** Whole milliseconds from a number or its decimal text, or undefined when it is neither or out of range. */
export function parseLatencyMs(value: unknown): number | undefined {
  const ms = typeof value === 'string' && /^\d{1,5}$/.test(value.trim()) ? Number(value) : value
  if (typeof ms !== 'number' || !Number.isInteger(ms)) return undefined
  return ms >= 0 && ms <= LATENCY_MS_MAX ? ms : undefined
}
