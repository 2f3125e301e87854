/** The words behind `npm run keys --`, read strictly: what is misspelt is said, and nothing is done. */
import { parseArgs } from 'node:util'
import {
  DEFAULT_SCOPES,
  isApiKeyId,
  parseKeyHolder,
  parseScopes,
  SCOPES,
  type Scope,
} from '#verification/api-key.ts'
import { type Application, FORM_APPLICATION } from '#verification/verification.ts'

export type KeyCommand =
  | { kind: 'create'; application: Application; scopes: readonly Scope[] }
  | { kind: 'list' }
  | { kind: 'revoke'; id: string }
  | { kind: 'mistake'; what: string }

export const USAGE = `Usage:
  npm run keys -- create NAME [--scopes ${SCOPES.join(',')}]   default: ${DEFAULT_SCOPES.join(',')}
  npm run keys -- list
  npm run keys -- revoke ID`

export function parseKeyCommand(args: readonly string[]): KeyCommand {
  const words = wordsOf(args)
  if (words === undefined) return mistake('That is not understood.')
  const [verb, word, ...rest] = words.positionals
  const { scopes } = words.values
  if (rest.length > 0) return mistake('That is one word too many.')
  if (scopes !== undefined && verb !== 'create') return mistake('--scopes goes with create.')
  if (verb === 'create') return parseCreate(word, scopes)
  if (verb === 'list' && word === undefined) return { kind: 'list' }
  if (verb !== 'revoke') return mistake('The commands are create, list and revoke.')
  if (word !== undefined && isApiKeyId(word)) return { kind: 'revoke', id: word }
  return mistake('revoke takes the ID that list shows: ten letters. It never takes the key.')
}

function parseCreate(name = '', scopeList?: string): KeyCommand {
  const scopes = scopeList === undefined ? DEFAULT_SCOPES : parseScopes(scopeList)
  if (!scopes) return mistake(`--scopes must be some of ${SCOPES.join(' ')}, joined by commas.`)
  const application = parseKeyHolder(name, scopes)
  if (!application)
    return mistake(
      `NAME must be 1 to 32 characters a-z 0-9 - _, and ${FORM_APPLICATION} takes --scopes admin.`,
    )
  return { kind: 'create', application, scopes }
}

function wordsOf(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { scopes: { type: 'string' } }, allowPositionals: true })
  } catch {
    return undefined
  }
}

function mistake(what: string): KeyCommand {
  return { kind: 'mistake', what }
}
