/** What a call says: the `say:` texts of an SWML document, in the order they are played. */

/** Depth at which a document is no longer searched; the deepest useful text lies at five. */
const DEPTH_MAX = 12

/** @param swml the document, as an object or as its JSON text. Empty when it says nothing. */
export function spokenIn(swml: unknown): string {
  return saysOf(typeof swml === 'string' ? parsed(swml) : swml, DEPTH_MAX).join(' ')
}

function saysOf(value: unknown, depth: number): string[] {
  if (typeof value === 'string') return value.startsWith('say:') ? [value.slice('say:'.length).trim()] : []
  if (typeof value !== 'object' || value === null || depth === 0) return []
  return Object.values(value).flatMap((item) => saysOf(item, depth - 1))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
