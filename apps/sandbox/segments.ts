/** How many segments of SMS a text takes, which is what the carriers bill. */
const GSM_7 = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà^{}\\[~\]|€]*$/
const TWO_SEPTETS = /[\^{}\\[~\]|€]/g

/** GSM 03.38: 160 septets, 153 in each part of a longer text; one foreign character makes it 70 and 67 UCS-2 units. */
export function segmentsOf(text: string): number {
  if (!GSM_7.test(text)) return parts(text.length, 70, 67)
  return parts(text.length + (text.match(TWO_SEPTETS)?.length ?? 0), 160, 153)
}

function parts(units: number, single: number, each: number): number {
  return units <= single ? 1 : Math.ceil(units / each)
}
