/**
 * Names that stand in a message: our brand, and who is paid. Only ASCII characters that GSM 03.38 carries in one septet
 * each, so that a name neither turns a message into UCS-2 nor costs more than its length.
 */
export const NAME_LONGEST = 30

const plain = /^[A-Za-z0-9 .,&'+\-!?/:;()*#%"<>=_@$]+$/
/** Gaps make two names that look alike differ, and a line that begins with `@` may be read as an origin. */
const strayed = /^[ @]| $| {2}/

export function isPlainName(text: string): boolean {
  return text.length <= NAME_LONGEST && plain.test(text) && !strayed.test(text)
}
