/** What whoever runs the service has said about single numbers and prefixes: allowed, denied, or only for tests. */
import { type Code, parseCode } from './code.ts'
import type { Destination } from './destination.ts'

/** Exact numbers, or prefixes written with a `*` at the end (`+1876*`). */
export type NumberList = readonly string[]

export type TestNumber = { destination: Destination; code: Code }

export type Listed =
  | { kind: 'none' }
  /** Only its own limits and the shared budgets apply. */
  | { kind: 'allowed' }
  | { kind: 'denied' }
  /** Never sent to; its code is always this one. */
  | { kind: 'test'; code: Code }

export type Lists = { allowed: NumberList; denied: NumberList; tests: readonly TestNumber[] }

const NONE: Listed = { kind: 'none' }

/** A test number goes before the deny list, the deny list before the allow list. */
export function createListing({ allowed, denied, tests }: Lists): (destination: Destination) => Listed {
  const isAllowed = matcherOf(allowed)
  const isDenied = matcherOf(denied)
  const codes = new Map(tests.map(({ destination, code }) => [destination, code]))
  return (destination) => {
    const code = codes.get(destination)
    if (code !== undefined) return { kind: 'test', code }
    if (isDenied(destination)) return { kind: 'denied' }
    return isAllowed(destination) ? { kind: 'allowed' } : NONE
  }
}

function matcherOf(list: NumberList): (destination: Destination) => boolean {
  const whole = new Set(list.filter((entry) => !entry.endsWith('*')))
  const prefixes = list.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1))
  return (destination) => whole.has(destination) || prefixes.some((prefix) => destination.startsWith(prefix))
}

/** `+12025550123`, or a prefix such as `+1876*`. */
export function parseListed(text: string): string | undefined {
  return /^\+[1-9][0-9]{0,14}\*?$/.test(text) ? text : undefined
}

/** `+15005550006:123456`: an E.164 number, which need not exist, and its code. */
export function parseTestNumber(text: string): TestNumber | undefined {
  const [, number = '', digits = ''] = /^(\+[1-9][0-9]{6,14}):([0-9]+)$/.exec(text) ?? []
  const code = parseCode(digits)
  return code && { destination: number as Destination, code }
}
