/**
 * What messages look like, read by the API, which counts their segments, and by the worker, which writes them: one
 * reading, so that both mean the same text. A combination that makes a text too long is found here, at start.
 */
import { type MessageStyle, type Misfit, misfits, SEGMENTS_MOST } from '#verification/message.ts'
import { isPlainName, NAME_LONGEST } from '#verification/plain-name.ts'
import { integer, type Kind, type Reader } from './env.ts'

const name: Kind<string> = {
  expected: `1 to ${NAME_LONGEST} plain characters (GSM 03.38 without accents and without the ones that cost two), single spaces`,
  parse: (text) => (isPlainName(text) ? text : undefined),
}

/** As browsers write a host in an origin: lower case, IDN as xn--, neither an address nor a single label. */
const domain: Kind<string> = {
  expected: 'a domain in lower case such as example.com, without https://, port or path; no IP address',
  parse: (text) =>
    /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
      ? text
      : undefined,
}

const appHash: Kind<string> = {
  expected: 'the 11 characters A-Z a-z 0-9 + / that the SMS Retriever knows the app by',
  parse: (text) => (/^[A-Za-z0-9+/]{11}$/.test(text) ? text : undefined),
}

/** @param ttlMs life of a code, which the text names in minutes */
export function readMessageStyle(reader: Reader, ttlMs: number): MessageStyle {
  const style: MessageStyle = {
    brand: reader.value('BRAND_NAME', name, 'verification'),
    domain: reader.value<string | undefined>('WEBOTP_DOMAIN', domain, undefined),
    appHash: reader.value<string | undefined>('ANDROID_APP_HASH', appHash, undefined),
    segmentsMax: reader.value('MESSAGE_SEGMENTS_MAX', integer(1, SEGMENTS_MOST), 1),
  }
  for (const misfit of misfits({ ...style, ttlMs })) reader.problem(blamed(style), sentenceOf(misfit))
  return style
}

/** Without the last line every text fits under every brand, which a test holds. */
const blamed = ({ domain }: MessageStyle) => (domain === undefined ? 'BRAND_NAME' : 'WEBOTP_DOMAIN')

function sentenceOf({ locale, payment, size, limit, wanted }: Misfit): string {
  const what = `the ${payment ? 'payment message' : 'message'} in ${locale}`
  if (size.encoding !== wanted) return `${what} has characters that GSM-7 lacks`
  const units = `${size.units} ${size.encoding === 'gsm7' ? 'GSM-7 septets' : 'UCS-2 units'}`
  const most = payment ? `${limit} are the most` : `MESSAGE_SEGMENTS_MAX is ${limit}`
  return `${what} would take ${size.segments} segments (${units}), ${most}`
}
