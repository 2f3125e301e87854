/**
 * The gate before a send: every limit on who may be sent how much, as one table of rules. Sending costs money, so a
 * stranger who asks for codes is an attacker on the bill until the numbers say otherwise.
 *
 * The starting numbers follow what the hosted services publish: a handful of codes an address, tens a number prefix, and
 * a share of codes that are really typed in. Budgets of an application and of all together are small on purpose:
 * whoever sends more says so.
 */

import type { GateRefusal } from './refusal.ts'

/**
 * - `observe`: the rule only says so, in the log and in the verification's `explain`.
 * - `challenge`: the start needs a passed challenge.
 * - `block`: the start is refused.
 */
export const MODES = ['observe', 'challenge', 'block'] as const
export type Mode = (typeof MODES)[number]

/**
 * What a rule counts for:
 * - `ip`: the end user's address: IPv4, or the /64 of an IPv6 address
 * - `network`: the /48 of an IPv6 address
 * - `prefix`: a number without its last four digits
 * - `range`: a number without its last three digits
 * - `region`: the number's region, as libphonenumber has it
 * - `form`: the public form, which is an application of its own
 * - `application`: the caller's
 * - `overall`: the whole deployment
 *
 * Prefixes, ranges and regions are counted for the form apart, and for all applications with a key together: anybody may
 * use the form, and must not use up what an application's people need.
 */
export const SCOPES = [
  'ip',
  'network',
  'prefix',
  'range',
  'region',
  'form',
  'application',
  'overall',
] as const
export type Scope = (typeof SCOPES)[number]
/** What a guess is counted for: who types, never the number, whose own budget it has already. */
export const GUESS_SCOPES = ['ip', 'network', 'application', 'overall'] as const satisfies readonly Scope[]

/**
 * What the answer to a keyword is counted for: only in money. It belongs to no application, and was asked for by who is
 * answered.
 */
export const REPLY_SCOPES = ['region', 'overall'] as const satisfies readonly Scope[]

/**
 * What the second message of a send is counted for, after a first that nobody knows the end of: what is shared. No
 * address asked for it, and what a prefix was asked to be sent has been counted.
 */
export const SECOND_SCOPES = ['region', 'form', 'application', 'overall'] as const satisfies readonly Scope[]

/**
 * - `sends`: messages ordered; `spend`: what they cost, in millionths of the currency of PRICES
 * - `numbers`, `regions`: different ones
 * - `wrong_checks`: wrong codes
 * All of them at most `max` in any window of `windowMs`, however it falls.
 */
export type Counted = 'sends' | 'spend' | 'numbers' | 'regions' | 'wrong_checks'

export type Rule = { name: string; scope: Scope; windowMs: number; mode: Mode } & (
  | { counts: Counted; max: number }
  /**
   * The share of codes typed in, of all verifications that were sent to and have ended: trips under `belowPercent` once
   * `minimum` have. Only ended ones count, else each fresh burst would look like fraud.
   */
  | { counts: 'conversion'; belowPercent: number; minimum: number }
)

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const currency = 1_000_000

/** Rules in the order they are asked. Of those that block the one that does so longest names the refusal. */
export const DEFAULT_RULES: readonly Rule[] = [
  { name: 'ip_hour', scope: 'ip', counts: 'sends', windowMs: hour, max: 10, mode: 'block' },
  { name: 'ip_day', scope: 'ip', counts: 'sends', windowMs: day, max: 30, mode: 'block' },
  { name: 'ip_numbers_day', scope: 'ip', counts: 'numbers', windowMs: day, max: 10, mode: 'block' },
  { name: 'ip_regions_day', scope: 'ip', counts: 'regions', windowMs: day, max: 3, mode: 'block' },
  { name: 'network_hour', scope: 'network', counts: 'sends', windowMs: hour, max: 50, mode: 'block' },
  { name: 'prefix_hour', scope: 'prefix', counts: 'sends', windowMs: hour, max: 20, mode: 'block' },
  {
    name: 'prefix_conversion',
    scope: 'prefix',
    counts: 'conversion',
    windowMs: day,
    belowPercent: 30,
    minimum: 20,
    mode: 'block',
  },
  {
    name: 'prefix_conversion_low',
    scope: 'prefix',
    counts: 'conversion',
    windowMs: day,
    belowPercent: 50,
    minimum: 20,
    mode: 'challenge',
  },
  {
    name: 'range_numbers',
    scope: 'range',
    counts: 'numbers',
    windowMs: 10 * minute,
    max: 8,
    mode: 'challenge',
  },
  { name: 'region_hour', scope: 'region', counts: 'sends', windowMs: hour, max: 200, mode: 'challenge' },
  { name: 'region_day', scope: 'region', counts: 'sends', windowMs: day, max: 500, mode: 'block' },
  {
    name: 'region_conversion',
    scope: 'region',
    counts: 'conversion',
    windowMs: day,
    belowPercent: 30,
    minimum: 100,
    mode: 'challenge',
  },
  {
    name: 'region_spend_hour',
    scope: 'region',
    counts: 'spend',
    windowMs: hour,
    max: 5 * currency,
    mode: 'block',
  },
  {
    name: 'region_spend_day',
    scope: 'region',
    counts: 'spend',
    windowMs: day,
    max: 10 * currency,
    mode: 'block',
  },
  { name: 'form_hour', scope: 'form', counts: 'sends', windowMs: hour, max: 50, mode: 'block' },
  { name: 'form_day', scope: 'form', counts: 'sends', windowMs: day, max: 125, mode: 'block' },
  {
    name: 'form_spend_hour',
    scope: 'form',
    counts: 'spend',
    windowMs: hour,
    max: 1.25 * currency,
    mode: 'block',
  },
  {
    name: 'form_spend_day',
    scope: 'form',
    counts: 'spend',
    windowMs: day,
    max: 2.5 * currency,
    mode: 'block',
  },
  {
    name: 'application_hour',
    scope: 'application',
    counts: 'sends',
    windowMs: hour,
    max: 200,
    mode: 'block',
  },
  { name: 'application_day', scope: 'application', counts: 'sends', windowMs: day, max: 500, mode: 'block' },
  {
    name: 'application_spend_hour',
    scope: 'application',
    counts: 'spend',
    windowMs: hour,
    max: 5 * currency,
    mode: 'block',
  },
  {
    name: 'application_spend_day',
    scope: 'application',
    counts: 'spend',
    windowMs: day,
    max: 10 * currency,
    mode: 'block',
  },
  { name: 'overall_hour', scope: 'overall', counts: 'sends', windowMs: hour, max: 200, mode: 'block' },
  { name: 'overall_day', scope: 'overall', counts: 'sends', windowMs: day, max: 500, mode: 'block' },
  {
    name: 'overall_spend_hour',
    scope: 'overall',
    counts: 'spend',
    windowMs: hour,
    max: 5 * currency,
    mode: 'block',
  },
  {
    name: 'overall_spend_day',
    scope: 'overall',
    counts: 'spend',
    windowMs: day,
    max: 10 * currency,
    mode: 'block',
  },
]

/**
 * Rules about guessing, asked before a code is compared; only wrong codes count. They catch the attack the number's own
 * budget cannot see: one code tried against many numbers. Scopes are those of GUESS_SCOPES.
 */
export const DEFAULT_GUESS_RULES: readonly Rule[] = [
  {
    name: 'ip_wrong_hour',
    scope: 'ip',
    counts: 'wrong_checks',
    windowMs: hour,
    max: 20,
    mode: 'block',
  },
  {
    name: 'network_wrong_hour',
    scope: 'network',
    counts: 'wrong_checks',
    windowMs: hour,
    max: 100,
    mode: 'block',
  },
  {
    name: 'application_wrong_hour',
    scope: 'application',
    counts: 'wrong_checks',
    windowMs: hour,
    max: 500,
    mode: 'block',
  },
  {
    name: 'overall_wrong_hour',
    scope: 'overall',
    counts: 'wrong_checks',
    windowMs: hour,
    max: 1_000,
    mode: 'block',
  },
]

/**
 * What the public form may use up of a budget of all together, so that whoever spends the form's leaves the
 * applications theirs.
 */
const FORM_SHARE = 0.25

/** A budget of the form, made no more than its share of the same budget of all together; any other rule as it is. */
export function withinFormShare(rule: Rule, rules: readonly Rule[]): Rule {
  if (rule.scope !== 'form' || rule.counts === 'conversion') return rule
  const { counts, windowMs } = rule
  const same = (other: Rule) => other.scope === 'overall' && other.windowMs === windowMs
  const all = rules.find((other) => other.counts === counts && same(other))
  if (!all || all.counts === 'conversion') return rule
  return { ...rule, max: Math.max(1, Math.min(rule.max, Math.floor(all.max * FORM_SHARE))) }
}

/** What a start is told when the rule blocks it. */
export function refusalOfRule(rule: Rule): GateRefusal {
  if (rule.counts === 'wrong_checks') return 'guess_limit'
  if (rule.counts === 'spend') return 'spend_limit'
  if (rule.counts === 'conversion' || rule.scope === 'range') return 'suspected_fraud'
  return rule.scope === 'ip' || rule.scope === 'network' ? 'client_limit' : 'traffic_limit'
}

/** Of a limit of an application, the form, a region or all together this share is worth an alarm. */
export const ALARM_SHARE = 0.8

/** The limits that `explain` says an alarm for. */
export function alarmsIn(explain: string): string[] {
  if (!explain.includes('=alarm')) return []
  return [...explain.matchAll(/(\w+)=alarm/g)].map(([, rule = '']) => rule)
}

const money = /^([0-9]{1,7})(?:\.([0-9]{1,6}))?$/

/** Millionths of a currency out of text such as `12.50`. */
export function parseMoney(text: string): number | undefined {
  const [, whole, fraction = ''] = money.exec(text) ?? []
  return whole === undefined ? undefined : Number(whole) * currency + Number(fraction.padEnd(6, '0'))
}

export function formatMoney(micros: number): string {
  return (micros / currency).toFixed(6).replace(/0{1,4}$/, '')
}

/**
 * A rule with another limit, another mode, or neither (`off`):
 * `MAX`, `MAX:MODE`; for conversion `PERCENT%/MINIMUM`, `PERCENT%/MINIMUM:MODE`. Spend is in currency (`25.00`).
 */
export function parseRule(text: string, rule: Rule): Rule | 'off' | undefined {
  if (text === 'off') return 'off'
  const [limit = '', mode = rule.mode, ...rest] = text.split(':')
  if (rest.length > 0 || !isMode(mode) || !modesOf(rule).includes(mode)) return undefined
  if (rule.counts === 'conversion') {
    const [, percent, minimum] = /^([0-9]{1,2})%\/([0-9]{1,6})$/.exec(limit) ?? []
    if (percent === undefined || Number(percent) === 0 || Number(minimum) === 0) return undefined
    return { ...rule, mode, belowPercent: Number(percent), minimum: Number(minimum) }
  }
  const max = rule.counts === 'spend' ? parseMoney(limit) : parseCount(limit)
  return max === undefined || max === 0 || max > mostOf(rule) ? undefined : { ...rule, mode, max }
}

/** Different ones are kept by name and looked through at each start. */
const DIFFERENT_MOST = 100

function mostOf({ counts }: Rule): number {
  return counts === 'numbers' || counts === 'regions' ? DIFFERENT_MOST : Number.MAX_SAFE_INTEGER
}

function parseCount(text: string): number | undefined {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined
}

/** A check carries no challenge, so a guess cannot be asked for one. */
export function modesOf(rule: Rule): readonly Mode[] {
  return rule.counts === 'wrong_checks' ? ['observe', 'block'] : MODES
}

function isMode(text: string): text is Mode {
  return MODES.some((mode) => mode === text)
}

/** The text a rule is set by, as parseRule reads it. */
export function formatRule(rule: Rule): string {
  if (rule.counts === 'conversion') return `${rule.belowPercent}%/${rule.minimum}:${rule.mode}`
  return `${rule.counts === 'spend' ? formatMoney(rule.max) : rule.max}:${rule.mode}`
}
