/**
 * The digits a person types: how they are made and how what was typed is read. Six digits, every one of the million
 * equally likely, from the operating system's generator (NIST SP 800-63B-4 §3.1.3.2, OWASP ASVS 5.0 6.5.3).
 */
import { randomInt } from 'node:crypto'
import { CODE_DIGITS } from './policy.ts'

declare const codeBrand: unique symbol
export type Code = string & { readonly [codeBrand]: true }

export function generateCode(): Code {
  return String(randomInt(10 ** CODE_DIGITS)).padStart(CODE_DIGITS, '0') as Code
}

const plain = new RegExp(`^[0-9]{${CODE_DIGITS}}$`)
/** A space or dash of any kind that keyboards and messages put between digits; one at a time, and none at the ends. */
const SEPARATOR = '[ \\u00a0\\u2009\\u202f\\-\\u2010-\\u2013\\u2212]'
const typed = new RegExp(`^\\p{Nd}(?:${SEPARATOR}?\\p{Nd}){${CODE_DIGITS - 1}}$`, 'u')
const digits = /\p{Nd}/gu
const isDigit = (point: number) => /^\p{Nd}$/u.test(String.fromCodePoint(point))

/**
 * Reads a typed code: six digits, with space around them and single spaces or dashes between. Decimal digits of other
 * scripts are what a keyboard set to them types, and mean what they say (`\u0661` is 1). Anything else is `undefined`,
 * test/vectors/codes has the cases.
 */
export function parseCode(text: string): Code | undefined {
  const trimmed = text.trim()
  if (plain.test(trimmed)) return trimmed as Code
  if (!typed.test(trimmed)) return undefined
  return (trimmed.match(digits) ?? []).map(valueOfDigit).join('') as Code
}

/** Unicode keeps the ten digits of a script together, zero first; where two scripts adjoin, they do so by tens. */
function valueOfDigit(digit: string): number {
  const point = digit.codePointAt(0) ?? 0
  let before = 0
  while (isDigit(point - before - 1)) before += 1
  return before % 10
}
