/**
 * `npm run keys`: makes, lists and revokes the API keys that are kept in Redis. A new key goes to stdout, once and alone;
 * everything else that is said about it goes to stderr.
 */
import { refuseToStart } from '#runtime/env.ts'
import { type ApiKeys, createApiKeys, type StoredApiKey } from '#store/api-keys.ts'
import { createKeys } from '#store/keys.ts'
import { digestOf, formatScopes, newApiKey } from '#verification/api-key.ts'
import { readConfig } from './config.ts'
import { sentenceOfFault, withRedis } from './connection.ts'
import { type KeyCommand, parseKeyCommand, USAGE } from './key-command.ts'

const REVOKE_ANSWERS = {
  revoked: 'Revoked. Every API has noticed within five seconds.',
  was_revoked: 'That key was revoked before.',
  unknown: 'There is no key of that id here. Are REDIS_URL and REDIS_PREFIX those of the APIs?',
} as const

const { config, problems } = readConfig(process.env)
if (problems.length > 0) refuseToStart('keys', problems)
process.exitCode = await main(parseKeyCommand(process.argv.slice(2)))

async function main(command: KeyCommand): Promise<number> {
  if (command.kind === 'mistake') return say(`${command.what}\n${USAGE}`, 2)
  try {
    return await withRedis(config, (redis) =>
      run(command, createApiKeys({ redis, keys: createKeys(config.redisPrefix) })),
    )
  } catch (error) {
    const doubt = command.kind === 'list' ? '' : ' Nothing is certain. Look with list.'
    return say(`${sentenceOfFault(error)}${doubt} Is REDIS_URL that of the APIs?`, 1)
  }
}

async function run(command: Exclude<KeyCommand, { kind: 'mistake' }>, apiKeys: ApiKeys): Promise<number> {
  switch (command.kind) {
    case 'create': {
      const { application, scopes } = command
      const { id, key } = newApiKey()
      await apiKeys.create({ id, application, scopes, digest: digestOf(key).toString('base64url') })
      say(`API key ${id} of ${application}, for ${formatScopes(scopes)}. It counts within five seconds.`)
      say('Keep it now: it is shown this once, and only its digest is kept.')
      if (!config.keysInRedis)
        say('API_KEYS_IN_REDIS is off here: an API with these settings does not take it.')
      process.stdout.write(`${key}\n`)
      return 0
    }
    case 'list': {
      const { keys, unreadable } = await apiKeys.list()
      process.stdout.write(table(keys))
      return unreadable === 0 ? 0 : say(`${unreadable} more that cannot be read, and count for nobody.`, 1)
    }
    case 'revoke': {
      const came = await apiKeys.revoke(command.id)
      return say(REVOKE_ANSWERS[came], came === 'unknown' ? 1 : 0)
    }
  }
}

function table(keys: readonly StoredApiKey[]): string {
  const rows = [['ID', 'APPLICATION', 'SCOPES', 'CREATED', 'STATE'], ...keys.map(rowOf)]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

function rowOf({ id, application, scopes, createdAtMs, revokedAtMs }: StoredApiKey): string[] {
  const state = revokedAtMs === undefined ? 'counts' : `revoked ${iso(revokedAtMs)}`
  return [id, application, formatScopes(scopes), iso(createdAtMs), state]
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

function say(line: string, code = 0): number {
  process.stderr.write(`${line}\n`)
  return code
}
