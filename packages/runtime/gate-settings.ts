/** The gate as settings: each rule by its name, and what messages cost. */
import { parseRegion } from '#verification/destination.ts'
import { formatRule, modesOf, parseMoney, parseRule, type Rule, withinFormShare } from '#verification/gate.ts'
import { DEFAULT_PRICES, type Prices } from '#verification/price.ts'
import { type Kind, listOf, type Reader } from './env.ts'

/**
 * Each rule may be set by LIMIT_ and its name; `off` takes it out. A budget of the form that is not set goes down with
 * that of all together, and never up with it.
 */
export function readRules(reader: Reader, defaults: readonly Rule[]): Rule[] {
  const rules = defaults
    .map((rule) => reader.value(settingOf(rule), limit(rule), rule))
    .filter((rule) => rule !== 'off')
  return rules.map((rule) => (reader.has(settingOf(rule)) ? rule : withinFormShare(rule, rules)))
}

function settingOf({ name }: Rule): string {
  return `LIMIT_${name.toUpperCase()}`
}

function limit(rule: Rule): Kind<Rule | 'off'> {
  const form = rule.counts === 'conversion' ? 'PERCENT%/MINIMUM' : 'MAX'
  return {
    expected: `${form} or ${form}:MODE with ${modesOf(rule).join(' or ')} (${formatRule(rule)}), or off`,
    parse: (text) => parseRule(text, rule),
  }
}

const price: Kind<readonly [string, number]> = {
  expected: 'REGION:PRICE such as US:0.015, * for all other regions',
  parse(text) {
    const [region = '', amount = '', ...rest] = text.split(':')
    const micros = parseMoney(amount)
    const known = region === '*' || parseRegion(region) !== undefined
    return known && micros !== undefined && rest.length === 0 ? [region, micros] : undefined
  },
}

export function readPrices(reader: Reader): Prices {
  return { ...DEFAULT_PRICES, ...Object.fromEntries(reader.value('PRICES', listOf(price), [])) }
}
