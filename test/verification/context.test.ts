/** The payment a code is bound to: which spellings are one, and that no two payments share one. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Context,
  canonicalContext,
  LONGEST_CONTEXT,
  parseAmount,
  parseContext,
  parseCurrency,
  parsePayee,
} from '#verification/context.ts'

const PARSERS = { amount: parseAmount, currency: parseCurrency, payee: parsePayee }
const PAYMENT = { amount: '1249.90', currency: 'EUR', payee: 'Corner Shop' }

function contextOf(fields: Partial<typeof PAYMENT>): Context {
  const context = parseContext({ ...PAYMENT, ...fields })
  if (!context) throw new Error(`${JSON.stringify(fields)} is no payment`)
  return context
}

describe.each([
  ['amount', '0', true],
  ['amount', '0.5', true],
  ['amount', '1249.90', true],
  ['amount', '12.3456', true],
  ['amount', '12.34567', false],
  ['amount', '99999999999', true],
  ['amount', '999999999999', true],
  ['amount', '1000000000000', false],
  ['amount', '', false],
  ['amount', '01', false],
  ['amount', '00.5', false],
  ['amount', '.5', false],
  ['amount', '5.', false],
  ['amount', '-5', false],
  ['amount', '+5', false],
  ['amount', '1e3', false],
  ['amount', '1,249.90', false],
  ['amount', '1249,90', false],
  ['amount', '1 249', false],
  ['amount', '5\n', false],
  ['amount', '\u0661', false],
  ['currency', 'EUR', true],
  ['currency', 'eur', false],
  ['currency', 'EU', false],
  ['currency', 'EURO', false],
  ['currency', 'EUR ', false],
  ['currency', '978', false],
  ['payee', 'W'.repeat(29), true],
  ['payee', 'W'.repeat(30), true],
  ['payee', 'W'.repeat(31), false],
  ['payee', '', false],
  ['payee', 'Caf\u00e9', false],
  ['payee', 'Corner\nShop', false],
  ['payee', ' Corner Shop', false],
] as const)('the %s', (field, text, taken) => {
  it(`${JSON.stringify(text)} is ${taken ? 'taken as it is spelled' : 'no payment'}`, () => {
    expect(PARSERS[field](text)).toBe(taken ? text : undefined)
    const fields = { ...PAYMENT, [field]: text }
    expect(parseContext(fields)).toEqual(taken ? fields : undefined)
  })
})

it.each([
  ['1249.90', '1249.9 EUR Corner Shop'],
  ['1249.9', '1249.9 EUR Corner Shop'],
  ['1249.9000', '1249.9 EUR Corner Shop'],
  ['1249.00', '1249 EUR Corner Shop'],
  ['1249', '1249 EUR Corner Shop'],
  ['1200', '1200 EUR Corner Shop'],
  ['10.010', '10.01 EUR Corner Shop'],
  ['0.00', '0 EUR Corner Shop'],
  ['0.0100', '0.01 EUR Corner Shop'],
])('%s is bound as %j', (amount, expected) => {
  expect(canonicalContext(contextOf({ amount }))).toBe(expected)
})

const amounts = fc
  .record({ whole: fc.integer({ min: 0, max: 1_300 }), decimals: fc.integer({ min: 0, max: 4 }) })
  .chain(({ whole, decimals }) =>
    fc
      .array(fc.constantFrom('0', '0', '1', '9'), { minLength: decimals, maxLength: decimals })
      .map((digits) => (decimals === 0 ? String(whole) : `${whole}.${digits.join('')}`)),
  )
const payments = fc.record({
  amount: amounts,
  currency: fc.constantFrom('EUR', 'USD', 'JPY'),
  payee: fc.constantFrom('EUR A', 'A', 'EUR', '9 EUR', '.5 EUR A', 'a'),
})

it('two payments are bound alike only when value, currency and payee are the same', () => {
  const same = (one: Context, two: Context) =>
    Number(one.amount) === Number(two.amount) && one.currency === two.currency && one.payee === two.payee
  fc.assert(
    fc.property(payments, payments, (first, second) => {
      const [one, two] = [contextOf(first), contextOf(second)]
      expect(canonicalContext(one) === canonicalContext(two)).toBe(same(one, two))
      expect(canonicalContext(contextOf({ ...first, amount: canonicalAmount(one) }))).toBe(
        canonicalContext(one),
      )
    }),
    { numRuns: 2_000 },
  )
})

const canonicalAmount = (context: Context) => canonicalContext(context).split(' ')[0] ?? ''

it('nothing longer than the longest payment is one', () => {
  expect(parseContext(LONGEST_CONTEXT)).toEqual(LONGEST_CONTEXT)
  for (const field of ['amount', 'currency', 'payee'] as const) {
    expect(parseContext({ ...LONGEST_CONTEXT, [field]: `${LONGEST_CONTEXT[field]}9` })).toBeUndefined()
  }
})
