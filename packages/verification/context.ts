/**
 * The payment a code is for: shown in the message and bound to the code, so that a code for one payment approves no
 * other (RTS (EU) 2018/389 Art. 5: dynamic linking of amount and payee).
 */
import { isPlainName, NAME_LONGEST, readsAsLink } from './plain-name.ts'

declare const amountBrand: unique symbol
/** As it was spelled, because that is what the payer is shown elsewhere: `1249.90`. */
export type Amount = string & { readonly [amountBrand]: true }

declare const currencyBrand: unique symbol
/** Three capital letters as in ISO 4217; the list of those in use is the caller's. */
export type Currency = string & { readonly [currencyBrand]: true }

declare const payeeBrand: unique symbol
export type Payee = string & { readonly [payeeBrand]: true }

export type Context = { readonly amount: Amount; readonly currency: Currency; readonly payee: Payee }

/** Twelve digits hold a billion in the smallest of currencies, four decimals the finest of ISO 4217. */
const decimal = /^(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?$/

export function parseAmount(text: string): Amount | undefined {
  return decimal.test(text) ? (text as Amount) : undefined
}

export function parseCurrency(text: string): Currency | undefined {
  return /^[A-Z]{3}$/.test(text) ? (text as Currency) : undefined
}

/** A payee is what somebody else calls themselves, in a message that comes from us: no link. */
export function parsePayee(text: string): Payee | undefined {
  return isPlainName(text) && !readsAsLink(text) ? (text as Payee) : undefined
}

export function parseContext(fields: Record<keyof Context, string>): Context | undefined {
  const amount = parseAmount(fields.amount)
  const currency = parseCurrency(fields.currency)
  const payee = parsePayee(fields.payee)
  return amount && currency && payee && { amount, currency, payee }
}

/**
 * The one spelling of a payment that MACs are made over. Zeros that end a fraction say nothing (`1249.90` is `1249.9`),
 * so a caller who prints the number twice in two ways asks about the same payment; every other difference is another
 * one. Unambiguous: only the payee, which is last, may hold spaces. ASCII, at most 52 characters.
 */
export function canonicalContext({ amount, currency, payee }: Context): string {
  const value = amount.includes('.') ? amount.replace(/\.?0+$/, '') : amount
  return `${value} ${currency} ${payee}`
}

/** As long as a payment can be, for whoever must know before one comes. */
export const LONGEST_CONTEXT: Context = {
  amount: '999999999999.9999' as Amount,
  currency: 'XXX' as Currency,
  payee: 'W'.repeat(NAME_LONGEST) as Payee,
}
