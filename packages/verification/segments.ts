/**
 * How many segments of SMS a text takes: what carriers bill and what a sender's rate is counted in. 3GPP TS 23.038
 * §6.2.1 (the alphabet and its extension), TS 23.040 §9.2.3.24.1 (the header that each part of a longer text gives up
 * six bytes for).
 */
export type Encoding = 'gsm7' | 'ucs2'

/** `units` are septets in GSM-7 and UTF-16 units in UCS-2. */
export type Size = { encoding: Encoding; units: number; segments: number }

const GSM_7 =
  /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà\f^{}\\[~\]|€]*$/
/** Written as an escape and a character. */
const EXTENSION = /[\f^{}\\[~\]|€]/
const EXTENSIONS = /[\f^{}\\[~\]|€]/g

/** One character outside GSM 03.38 makes the whole text UCS-2. */
export function segmentsOf(text: string): Size {
  if (GSM_7.test(text)) {
    const units = text.length + (text.match(EXTENSIONS)?.length ?? 0)
    const segments = units <= 160 ? 1 : parts(text, 153, (sign) => (EXTENSION.test(sign) ? 2 : 1))
    return { encoding: 'gsm7', units, segments }
  }
  const units = text.length
  return { encoding: 'ucs2', units, segments: units <= 70 ? 1 : parts(text, 67, (sign) => sign.length) }
}

/** Neither an escape and its character nor a surrogate pair is split: what does not fit whole begins the next part. */
function parts(text: string, room: number, costOf: (sign: string) => number): number {
  let count = 1
  let used = 0
  for (const sign of text) {
    const cost = costOf(sign)
    if (used + cost > room) {
      count += 1
      used = 0
    }
    used += cost
  }
  return count
}
