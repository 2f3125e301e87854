/**
 * Recorded traffic: one JSON object a line, in the order it happened. What a line must hold stands in the README; a line
 * that cannot be read is a mistake in the file, named by its number.
 */
import { isIP } from 'node:net'
import { type Application, parseApplication } from '#verification/verification.ts'

/**
 * - `start`: somebody asked for a code.
 * - `approve`: the person typed the right one, for the newest verification of the number.
 */
export type Traffic = {
  atMs: number
  event: 'start' | 'approve'
  to: string
  clientIp?: string
  application: Application
}

export class TrafficMistake extends Error {
  override name = 'TrafficMistake'
}

const EVENTS = ['start', 'approve'] as const
const DEFAULT_APPLICATION = 'default'

export function parseTraffic(line: string, number: number): Traffic {
  const fields = parseObject(line)
  const mistake = (what: string) => new TrafficMistake(`line ${number}: ${what}`)
  if (!fields) throw mistake('must be a JSON object')
  const { at, event = 'start', to, client_ip: clientIp, application = DEFAULT_APPLICATION } = fields
  const atMs = typeof at === 'string' ? Date.parse(at) : Number.NaN
  if (Number.isNaN(atMs)) throw mistake('"at" must be a time such as 2026-11-24T10:00:00Z')
  const known = EVENTS.find((name) => name === event)
  if (!known) throw mistake(`"event" must be ${EVENTS.join(' or ')}`)
  if (typeof to !== 'string') throw mistake('"to" must be a phone number')
  const owner = typeof application === 'string' ? parseApplication(application) : undefined
  if (!owner) throw mistake('"application" must be 1 to 32 characters a-z 0-9 - _')
  if (clientIp === undefined) return { atMs, event: known, to, application: owner }
  if (typeof clientIp !== 'string' || isIP(clientIp) === 0) throw mistake('"client_ip" must be an IP address')
  return { atMs, event: known, to, clientIp, application: owner }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
