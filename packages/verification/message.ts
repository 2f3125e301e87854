/**
 * The text of the SMS. One GSM-7 segment for every locale and every brand the configuration admits: one character
 * outside GSM 03.38 would turn the message into UCS-2, 70 characters a segment, and cost twice.
 */
import type { Code } from './code.ts'

type Template = (code: Code, brand: string, minutes: number) => string

/** Accents outside GSM 03.38 (á, í, ó, ú, ã, õ, ç, ê, …) are written around, never used. */
const templates = {
  en: (code, brand, minutes) =>
    `${code} is your ${brand} code. It is valid for ${minutes} minutes. Do not share it.`,
  es: (code, brand, minutes) =>
    `${code} es tu clave de ${brand}. Caduca en ${minutes} minutos. No la compartas.`,
  fr: (code, brand, minutes) =>
    `${code} est votre code ${brand}. Il est valable ${minutes} minutes. Ne le partagez pas.`,
  de: (code, brand, minutes) =>
    `${code} ist Ihr ${brand}-Code. Er gilt ${minutes} Minuten. Geben Sie ihn nicht weiter.`,
  it: (code, brand, minutes) => `${code} è il tuo codice ${brand}. Vale ${minutes} minuti. Non condividerlo.`,
  nl: (code, brand, minutes) =>
    `${code} is uw ${brand}-code. Deze is ${minutes} minuten geldig. Deel hem met niemand.`,
} as const satisfies Record<string, Template>

export type Locale = keyof typeof templates
export const LOCALES: readonly Locale[] = Object.keys(templates) as Locale[]
export const DEFAULT_LOCALE: Locale = 'en'
export const BRAND_LONGEST = 30

/** Reads a BCP 47 tag by its language: `fr-CA` is written in `fr`. `undefined` when there is no template for it. */
export function parseLocale(tag: string): Locale | undefined {
  const language = /^([a-z]{2,3})(?:-[a-z0-9]{2,8})*$/i.exec(tag)?.[1]?.toLowerCase()
  return LOCALES.find((locale) => locale === language)
}

export function messageText(options: { code: Code; brand: string; locale: Locale; ttlMs: number }): string {
  return templates[options.locale](options.code, options.brand, Math.floor(options.ttlMs / 60_000))
}

/** A brand of GSM-7 characters that cost one septet each; anything else would break the one-segment promise. */
export function isBrand(text: string): boolean {
  return (
    text.length >= 1 && text.length <= BRAND_LONGEST && /^[A-Za-z0-9 .,&'+\-!?/:;()*#%"<>=_@$]+$/.test(text)
  )
}
