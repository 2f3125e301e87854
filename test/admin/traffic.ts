/** Made-up traffic for replays: starts and the approvals that follow, in the order of their times. */
import type { Traffic } from '#admin/traffic.ts'
import type { Application } from '#verification/verification.ts'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
const BEGIN = Date.parse('2026-03-02T00:00:00Z')
/** Between the message and the typed code. */
const TYPING_MS = 20_000

export type Asked = { atMs: number; to: string; clientIp?: string; types: boolean; application?: string }

export function trafficOf(asked: readonly Asked[]): Traffic[] {
  const events = asked.flatMap(({ atMs, to, clientIp, types, application = 'shop' }): Traffic[] => {
    const start: Traffic = {
      atMs: BEGIN + atMs,
      event: 'start',
      to,
      application: application as Application,
      ...(clientIp === undefined ? {} : { clientIp }),
    }
    return types ? [start, { ...start, atMs: start.atMs + TYPING_MS, event: 'approve' }] : [start]
  })
  return events.sort((a, b) => a.atMs - b.atMs)
}

/** `+1202` and a prefix of three digits, then four of its own. */
export const numberIn = (prefix: number, index: number): string =>
  `+1202${String(prefix)}${String(index).padStart(4, '0')}`

/** An address nobody else has. */
export const addressOf = (index: number): string =>
  `198.${18 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`
