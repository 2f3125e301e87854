/**
 * What a call says: the digits one by one, twice, and all of it a second time after a pause, because who picks up seldom
 * has a pen at hand. Pure text and pauses; the provider turns them into its own document.
 */
import type { Code } from './code.ts'

/** `language` is a BCP 47 tag of a voice; a part is a text to say or a silence in seconds. */
export type Speech = { language: string; parts: readonly (string | number)[] }

type Words = {
  language: string
  first: (digits: string, brand: string) => string
  again: (digits: string) => string
}

const ENGLISH: Words = {
  language: 'en-US',
  first: (digits, brand) => `Your ${brand} code is: ${digits}`,
  again: (digits) => `Once more: ${digits}`,
}

/** By language, as parseLocale reads it. One that is missing here hears English. */
const WORDS: Readonly<Record<string, Words>> = {
  es: {
    language: 'es-ES',
    first: (digits, brand) => `Su clave de ${brand} es: ${digits}`,
    again: (digits) => `Otra vez: ${digits}`,
  },
  fr: {
    language: 'fr-FR',
    first: (digits, brand) => `Votre code ${brand} est : ${digits}`,
    again: (digits) => `Encore une fois : ${digits}`,
  },
  de: {
    language: 'de-DE',
    first: (digits, brand) => `Ihr ${brand}-Code ist: ${digits}`,
    again: (digits) => `Noch einmal: ${digits}`,
  },
  pt: {
    language: 'pt-BR',
    first: (digits, brand) => `O seu código de ${brand} é: ${digits}`,
    again: (digits) => `Mais uma vez: ${digits}`,
  },
  it: {
    language: 'it-IT',
    first: (digits, brand) => `Il suo codice ${brand} è: ${digits}`,
    again: (digits) => `Ancora una volta: ${digits}`,
  },
  nl: {
    language: 'nl-NL',
    first: (digits, brand) => `Uw ${brand}-code is: ${digits}`,
    again: (digits) => `Nog een keer: ${digits}`,
  },
  pl: {
    language: 'pl-PL',
    first: (digits, brand) => `Twój kod ${brand} to: ${digits}`,
    again: (digits) => `Jeszcze raz: ${digits}`,
  },
  ja: {
    language: 'ja-JP',
    first: (digits, brand) => `${brand}の認証コードは、${digits} です。`,
    again: (digits) => `もう一度、${digits}`,
  },
  zh: {
    language: 'cmn-CN',
    first: (digits, brand) => `您的${brand}验证码是：${digits}`,
    again: (digits) => `再说一遍：${digits}`,
  },
  'zh-Hant': {
    language: 'cmn-TW',
    first: (digits, brand) => `您的${brand}驗證碼是：${digits}`,
    again: (digits) => `再說一遍：${digits}`,
  },
  hi: {
    language: 'hi-IN',
    first: (digits, brand) => `आपका ${brand} कोड है: ${digits}`,
    again: (digits) => `एक बार फिर: ${digits}`,
  },
  ar: {
    language: 'ar-XA',
    first: (digits, brand) => `رمز ${brand} الخاص بك هو: ${digits}`,
    again: (digits) => `مرة أخرى: ${digits}`,
  },
}

/** In seconds: before the digits come again, and before everything does. */
const SHORT_PAUSE = 1
const LONG_PAUSE = 3

export function speechOf(options: { code: Code; brand: string; locale: string }): Speech {
  const { language, first, again } = WORDS[options.locale] ?? ENGLISH
  // A full stop after each digit: voices rest there.
  const digits = [...options.code].map((digit) => `${digit}.`).join(' ')
  const once = [first(digits, options.brand), SHORT_PAUSE, again(digits)]
  return { language, parts: [...once, LONG_PAUSE, ...once] }
}
