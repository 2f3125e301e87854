/**
 * What a message says in each language, sentence by sentence; message.ts puts them together. Where a language can be
 * written in GSM 03.38, it is, with words that need no other letters (á, í, ó, ú, ã, õ, ç, ê and all Polish ones are
 * missing there): a word is chosen, never misspelled. Digits are 0-9 everywhere.
 */
import type { Code } from './code.ts'
import type { Context } from './context.ts'
import type { Encoding } from './segments.ts'

export type Wording = {
  encoding: Encoding
  /** What stands between two sentences. */
  space: ' ' | ''
  code(code: Code, brand: string): string
  /** The code comes before the amount, whose digits a phone must not take for it; no line begins with the payee. */
  payment(code: Code, brand: string, context: Context): string
  /** Correct from 1 to 10 minutes, which is what the policy admits. */
  validity(minutes: number): string
  secrecy: string
}

/** A name such as `Acme Inc.` ends its sentence by itself. */
const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`)
const money = ({ amount, currency }: Context) => `${amount} ${currency}`
const counted = (minutes: number, one: string, many: string) => `${minutes} ${minutes === 1 ? one : many}`

export const WORDINGS = {
  en: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => `${code} is your ${brand} code.`,
    payment: (code, brand, context) =>
      sentence(`${code} is your ${brand} code to pay ${money(context)} to ${context.payee}`),
    validity: (minutes) => `It is valid for ${counted(minutes, 'minute', 'minutes')}.`,
    secrecy: 'Do not share it.',
  },
  // "clave" for "código".
  es: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => sentence(`${code} es tu clave de ${brand}`),
    payment: (code, brand, context) =>
      sentence(`${code} es tu clave de ${brand} para pagar ${money(context)} a ${context.payee}`),
    validity: (minutes) => `Caduca en ${counted(minutes, 'minuto', 'minutos')}.`,
    secrecy: 'No la compartas.',
  },
  fr: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => sentence(`${code} est votre code ${brand}`),
    payment: (code, brand, context) =>
      sentence(`${code} est votre code ${brand} pour payer ${money(context)} à ${context.payee}`),
    validity: (minutes) => `Il est valable ${counted(minutes, 'minute', 'minutes')}.`,
    secrecy: 'Ne le partagez pas.',
  },
  de: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => sentence(`${code} ist Ihr Code für ${brand}`),
    payment: (code, brand, context) =>
      sentence(`${code} ist Ihr Code für ${brand} zur Zahlung von ${money(context)} an ${context.payee}`),
    validity: (minutes) => `Er gilt ${counted(minutes, 'Minute', 'Minuten')}.`,
    secrecy: 'Geben Sie ihn nicht weiter.',
  },
  // "PIN" for "código", "nunca" for "não"; words that are right in Brazil and in Portugal.
  pt: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => sentence(`Use o PIN ${code} para confirmar a sua identidade em ${brand}`),
    payment: (code, brand, context) =>
      sentence(`Use o PIN ${code} de ${brand} para pagar ${money(context)} a ${context.payee}`),
    validity: (minutes) => `Expira em ${counted(minutes, 'minuto', 'minutos')}.`,
    secrecy: 'Nunca o divulgue.',
  },
  it: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => sentence(`${code} è il tuo codice ${brand}`),
    payment: (code, brand, context) =>
      sentence(`${code} è il tuo codice ${brand} per pagare ${money(context)} a ${context.payee}`),
    validity: (minutes) => `Vale ${counted(minutes, 'minuto', 'minuti')}.`,
    secrecy: 'Non condividerlo.',
  },
  nl: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => sentence(`${code} is uw code voor ${brand}`),
    payment: (code, brand, context) =>
      `${code} is uw code voor ${brand} om ${money(context)} aan ${context.payee} te betalen.`,
    validity: (minutes) => `Deze is ${counted(minutes, 'minuut', 'minuten')} geldig.`,
    secrecy: 'Deel hem met niemand.',
  },
  // No "Twój", "ważny", "płatność" or "udostępniaj". "po" takes the locative: minucie, minutach, whatever the number.
  pl: {
    encoding: 'gsm7',
    space: ' ',
    code: (code, brand) => sentence(`${code} to kod ${brand}`),
    payment: (code, brand, context) =>
      sentence(`${code} to kod ${brand} do transakcji na ${money(context)} dla ${context.payee}`),
    validity: (minutes) => `Wygasa po ${counted(minutes, 'minucie', 'minutach')}.`,
    secrecy: 'Nikomu go nie podawaj.',
  },
  ja: {
    encoding: 'ucs2',
    space: '',
    code: (code, brand) => `${brand}の認証コードは${code}です。`,
    payment: (code, brand, context) =>
      `${brand}の認証コードは${code}です。${context.payee}への${money(context)}の支払い用です。`,
    validity: (minutes) => `${minutes}分間有効です。`,
    secrecy: '他人に教えないでください。',
  },
  // The name in lenticular brackets is how Chinese messages are signed.
  zh: {
    encoding: 'ucs2',
    space: '',
    code: (code, brand) => `【${brand}】您的验证码是${code}。`,
    payment: (code, brand, context) =>
      `【${brand}】您的验证码是${code}，用于向${context.payee}支付${money(context)}。`,
    validity: (minutes) => `${minutes}分钟内有效。`,
    secrecy: '请勿告诉他人。',
  },
  'zh-Hant': {
    encoding: 'ucs2',
    space: '',
    code: (code, brand) => `【${brand}】您的驗證碼是${code}。`,
    payment: (code, brand, context) =>
      `【${brand}】您的驗證碼是${code}，用於向${context.payee}支付${money(context)}。`,
    validity: (minutes) => `${minutes}分鐘內有效。`,
    secrecy: '請勿告訴他人。',
  },
  hi: {
    encoding: 'ucs2',
    space: ' ',
    code: (code, brand) => `${brand} कोड ${code}।`,
    payment: (code, brand, context) =>
      `${brand} कोड ${code}, ${context.payee} को ${money(context)} चुकाने के लिए।`,
    validity: (minutes) => `${minutes} मिनट तक वैध।`,
    secrecy: 'गुप्त रखें।',
  },
  // The first letter and those on both sides of the code are Arabic, so no direction mark is needed: the line runs from
  // right to left and the code is not drawn into a Latin name. Two minutes are a dual; the last sentence has no full
  // stop, which would be the 71st unit under the longest brand.
  ar: {
    encoding: 'ucs2',
    space: ' ',
    code: (code, brand) => `رمز ${brand} هو ${code}.`,
    payment: (code, brand, context) =>
      sentence(`رمز ${brand} هو ${code} لدفع ${money(context)} إلى ${context.payee}`),
    validity: (minutes) => `صالح ${arabicMinutes(minutes)}.`,
    secrecy: 'لا تشاركه',
  },
} as const satisfies Record<string, Wording>

function arabicMinutes(minutes: number): string {
  if (minutes === 1) return 'دقيقة واحدة'
  if (minutes === 2) return 'دقيقتين'
  return `${minutes} دقائق`
}
