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

const typed = new RegExp(`^[0-9](?:[ -]?[0-9]){${CODE_DIGITS - 1}}$`)

/**
 * Reads a typed code. Surrounding spaces and single spaces or dashes between digits are what people paste; anything
 * else, including digits of other scripts, is `undefined`.
 */
export function parseCode(text: string): Code | undefined {
  const trimmed = text.trim()
  return typed.test(trimmed) ? (trimmed.replace(/[ -]/g, '') as Code) : undefined
}
