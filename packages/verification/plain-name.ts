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

/** The part of a country's domain under which it gives out names, as in `amazon.co.uk`. */
const shared = /^(?:ac|co|com|edu|go|gob|gov|ne|net|or|org)$/i

/** Whatever makes more of a name than a name: a scheme, `www.`, a path, question or port behind a site, an address. */
const links = [
  /:\/\//,
  /\b(?:https?|ftp|mailto|tel|sms|smsto|javascript):/i,
  /\bwww[0-9]*\./i,
  /\bxn--/i,
  /[a-z0-9-]\.(?:[a-z]{2,}|xn--[a-z0-9-]+)\.?(?:\/|[?#]\S|:[0-9])/i,
  /[a-z0-9]@[a-z0-9-]+\.[a-z]{2,}/i,
  /\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b/,
]

/**
 * Whether a phone, or who reads it, may take a part of the name for a way to somewhere. The bare name of a site, such as
 * `Amazon.com`, is what many shops are called: it leads nowhere but to its owner. A site within a site is a link:
 * `bank.com.evil.io` looks like one it is not.
 */
export function readsAsLink(name: string): boolean {
  return (
    links.some((link) => link.test(name)) ||
    (name.match(/[a-z0-9-]+(?:\.[a-z0-9-]+){2,}/gi) ?? []).some(isNested)
  )
}

function isNested(site: string): boolean {
  const labels = site.split('.')
  const [above = '', last = ''] = labels.slice(-2)
  const isName = !/^[a-z]{2,}$/i.test(last) || labels.slice(0, -1).every((label) => /^[a-z]$/i.test(label))
  return !isName && !(labels.length === 3 && last.length === 2 && shared.test(above))
}
