/** The rules as data: what they say by themselves, and how a setting changes one. */
import { describe, expect, it } from 'vitest'
import {
  DEFAULT_GUESS_RULES,
  DEFAULT_RULES,
  formatMoney,
  formatRule,
  parseMoney,
  parseRule,
  type Rule,
  refusalOfRule,
  withinFormShare,
} from '#verification/gate.ts'

const every = [...DEFAULT_RULES, ...DEFAULT_GUESS_RULES]
const named = (name: string): Rule => {
  const rule = every.find((candidate) => candidate.name === name)
  if (!rule) throw new Error(`no rule ${name}`)
  return rule
}

describe('the rules', () => {
  it('have names of their own', () => {
    expect(new Set(every.map(({ name }) => name)).size).toBe(every.length)
  })

  it('let no more than 500 messages a day leave before somebody has said so', () => {
    expect(named('overall_day')).toMatchObject({ max: 500, mode: 'block' })
    expect(named('overall_spend_day')).toMatchObject({ max: 10_000_000, mode: 'block' })
  })

  it('leave three quarters of what there is for all to those who are not the form', () => {
    const form = DEFAULT_RULES.filter(({ scope }) => scope === 'form')
    expect(form.map(({ counts, windowMs }) => `${counts} ${windowMs}`)).toEqual(
      DEFAULT_RULES.filter(({ scope }) => scope === 'overall').map(
        (rule) => `${rule.counts} ${rule.windowMs}`,
      ),
    )
    for (const rule of form) {
      expect(withinFormShare(rule, DEFAULT_RULES)).toEqual(rule)
      expect(withinFormShare({ ...rule, max: Number.MAX_SAFE_INTEGER } as Rule, DEFAULT_RULES)).toEqual(rule)
    }
    expect(withinFormShare(named('overall_day'), DEFAULT_RULES)).toBe(named('overall_day'))
  })

  it('read as they are written', () => {
    for (const rule of every) expect(parseRule(formatRule(rule), rule)).toEqual(rule)
  })

  it('refuse in the words of what they count', () => {
    expect(every.map((rule) => [rule.name, refusalOfRule(rule)])).toEqual([
      ['ip_hour', 'client_limit'],
      ['ip_day', 'client_limit'],
      ['ip_numbers_day', 'client_limit'],
      ['ip_regions_day', 'client_limit'],
      ['network_hour', 'client_limit'],
      ['prefix_hour', 'traffic_limit'],
      ['prefix_conversion', 'suspected_fraud'],
      ['prefix_conversion_low', 'suspected_fraud'],
      ['range_numbers', 'suspected_fraud'],
      ['region_hour', 'traffic_limit'],
      ['region_day', 'traffic_limit'],
      ['region_conversion', 'suspected_fraud'],
      ['region_spend_hour', 'spend_limit'],
      ['region_spend_day', 'spend_limit'],
      ['form_hour', 'traffic_limit'],
      ['form_day', 'traffic_limit'],
      ['form_spend_hour', 'spend_limit'],
      ['form_spend_day', 'spend_limit'],
      ['application_hour', 'traffic_limit'],
      ['application_day', 'traffic_limit'],
      ['application_spend_hour', 'spend_limit'],
      ['application_spend_day', 'spend_limit'],
      ['overall_hour', 'traffic_limit'],
      ['overall_day', 'traffic_limit'],
      ['overall_spend_hour', 'spend_limit'],
      ['overall_spend_day', 'spend_limit'],
      ['ip_wrong_hour', 'guess_limit'],
      ['network_wrong_hour', 'guess_limit'],
      ['application_wrong_hour', 'guess_limit'],
      ['overall_wrong_hour', 'guess_limit'],
    ])
  })
})

describe('a setting', () => {
  it.each([
    ['ip_hour', '20', { max: 20, mode: 'block' }],
    ['ip_hour', '20:observe', { max: 20, mode: 'observe' }],
    ['overall_spend_day', '250.00', { max: 250_000_000, mode: 'block' }],
    ['range_numbers', '100', { max: 100 }],
    ['overall_spend_day', '0.000001:challenge', { max: 1, mode: 'challenge' }],
    ['prefix_conversion', '20%/50', { belowPercent: 20, minimum: 50, mode: 'block' }],
    ['prefix_conversion', '1%/1:observe', { belowPercent: 1, minimum: 1, mode: 'observe' }],
  ])('of %s to %s', (name, text, expected) => {
    expect(parseRule(text, named(name))).toMatchObject(expected)
  })

  it('may be off', () => {
    expect(parseRule('off', named('ip_hour'))).toBe('off')
  })

  it.each([
    ['ip_hour', ''],
    ['ip_hour', '0'],
    ['ip_hour', '-1'],
    ['ip_hour', '1.5'],
    ['ip_hour', '10:loud'],
    ['ip_hour', '10:block:block'],
    ['ip_hour', '30%/20'],
    ['range_numbers', '101'],
    ['ip_regions_day', '101'],
    ['overall_spend_day', '1,50'],
    ['overall_spend_day', '0'],
    ['prefix_conversion', '30'],
    ['prefix_conversion', '0%/20'],
    ['prefix_conversion', '100%/20'],
    ['prefix_conversion', '30%/0'],
  ])('of %s to "%s" is refused', (name, text) => {
    expect(parseRule(text, named(name))).toBeUndefined()
  })
})

it.each([
  ['0', 0],
  ['1', 1_000_000],
  ['0.0079', 7_900],
  ['12.50', 12_500_000],
])('%s is money', (text, micros) => {
  expect(parseMoney(text)).toBe(micros)
})

it.each(['', '.5', '5.', '1e3', '0.0000001', '-1', ' 1'])('"%s" is no money', (text) => {
  expect(parseMoney(text)).toBeUndefined()
})

it.each([
  [12_500_000, '12.50'],
  [7_900, '0.0079'],
  [1, '0.000001'],
])('%i millionths are written %s', (micros, text) => {
  expect(formatMoney(micros)).toBe(text)
})
