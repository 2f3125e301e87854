/**
 * The parser of WICG "Origin-bound one-time codes delivered via SMS", §3.2, step by step as the text has it: what a
 * browser makes of a message.
 */
export type OriginBoundCode = { host: string; embeddedHost: string | null; code: string }

type Cursor = { line: string; position: number }

/** "Extract a marked token": a run of what is not ASCII whitespace behind `marker`. */
function markedToken(at: Cursor, marker: string): string | undefined {
  if (at.line[at.position] !== marker) return undefined
  at.position += 1
  const token = /^[^\t\n\f\r ]*/.exec(at.line.slice(at.position))?.[0] ?? ''
  at.position += token.length
  return token === '' ? undefined : token
}

export function parseOriginBoundCode(message: string): OriginBoundCode | undefined {
  const normalized = message.replaceAll('\r\n', '\n').replaceAll('\r', '\n')
  const at: Cursor = { line: normalized.split('\n').at(-1) ?? '', position: 0 }
  const host = markedToken(at, '@')
  if (host === undefined || at.line[at.position] !== ' ') return undefined
  at.position += 1
  const code = markedToken(at, '#')
  if (code === undefined) return undefined
  let embeddedHost: string | undefined
  if (at.line[at.position] === ' ') {
    at.position += 1
    embeddedHost = markedToken(at, '@')
  }
  return { host, embeddedHost: embeddedHost ?? null, code }
}
