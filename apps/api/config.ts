/** The API's configuration: the environment read once, or the list of everything wrong with it. */
import { isIP } from 'node:net'
import type { CallbackConfig } from '#providers/signalwire-callbacks.ts'
import { readLists, readRegions } from '#runtime/destination-settings.ts'
import {
  anyText,
  createReader,
  type Environment,
  integer,
  type Kind,
  listOf,
  port,
  portOrOff,
  type Reader,
  toggle,
} from '#runtime/env.ts'
import {
  isRepeated,
  readKeysInRedis,
  readSettings,
  requireInProduction,
  type Settings,
} from '#runtime/settings.ts'
import {
  type ApiKey,
  DEFAULT_SCOPES,
  digestOf,
  parseKeyHolder,
  parseScopes,
  SCOPES,
} from '#verification/api-key.ts'
import type { Region } from '#verification/destination.ts'
import type { Lists } from '#verification/lists.ts'
import { canCall } from '#verification/sender.ts'
import { type Channel, FORM_APPLICATION } from '#verification/verification.ts'
import { type ChallengeSettings, readChallenges } from './challenge-settings.ts'
import type { StreamLimits } from './streams.ts'

export type ApiConfig = Settings &
  ChallengeSettings & {
    host: string
    port: number
    /** Where /metrics is read, apart from the port that callers use. */
    metricsHost: string
    metricsPort: number | 'off'
    production: boolean
    /** Those of the environment. */
    apiKeys: readonly ApiKey[]
    /** Where they come from, when from a file: it is read again while the API runs. */
    apiKeysFile: string
    /** Whether the keys of `npm run keys` count too. */
    keysInRedis: boolean
    maxConnections: number
    /** The guide's routes and page. */
    publicForm: boolean
    /** The guide's Python variant: GET with query parameters, numbers without `+`. */
    pythonRoutes: boolean
    regions: ReadonlySet<Region>
    /** How a number without `+` is read where the caller names no country. */
    country: Region
    /** Addresses or CIDR ranges of the proxies whose X-Forwarded-For is believed. */
    trustedProxies: readonly string[]
    lists: Lists
    streamLimits: StreamLimits
    /** Where SignalWire's callbacks come, and what they are signed with; without it none are taken. */
    callbacks: CallbackConfig | undefined
    /** The ways a code can go with PROVIDERS and the numbers there are. */
    channels: readonly Channel[]
  }

const KEY_SHORTEST = 32
const SIGNING_KEY_SHORTEST = 16
/** A random key in hex misses more than six of the sixteen digits once in ten thousand, one in base64 never. */
const KEY_SIGNS_LEAST = 10

/**
 * NAME:KEY, or NAME/SCOPES:KEY. Scopes stand with the name: a key may hold any sign, so behind it a misspelt scope would
 * be taken for more of the key.
 */
const apiKey: Kind<ApiKey> = {
  expected:
    `NAME:KEY or NAME/SCOPES:KEY, with a name of 1 to 32 characters a-z 0-9 - _ (${FORM_APPLICATION} only with the scope admin), ` +
    `scopes of ${SCOPES.join(' ')} joined by +, and a random key of at least ${KEY_SHORTEST} characters`,
  parse(text) {
    const [, name = '', scopeList, key = ''] = /^([^:/]+)(?:\/([a-z+]*))?:([!-~]+)$/.exec(text) ?? []
    const scopes = scopeList === undefined ? DEFAULT_SCOPES : parseScopes(scopeList)
    const application = scopes && parseKeyHolder(name, scopes)
    if (!application || !scopes || isGuessable(key)) return undefined
    return { application, scopes, digest: digestOf(key).toString('base64url') }
  },
}

/** Nobody tries 32 random characters; but `changeme` four times, or all zeros, stands in every list. */
function isGuessable(key: string, shortest = KEY_SHORTEST): boolean {
  const signs = [...key]
  return key.length < shortest || new Set(signs).size < KEY_SIGNS_LEAST || isRepeated(signs)
}

/** SignalWire makes it, so its length is not ours to choose. Whoever guesses it opts people out, and in again. */
function signingKey(production: boolean): Kind<string> {
  const least = production ? `, of at least ${SIGNING_KEY_SHORTEST} characters` : ''
  return {
    expected: `a signing key as SignalWire shows it${least}`,
    parse: (text) =>
      text === '' || (production && isGuessable(text, SIGNING_KEY_SHORTEST)) ? undefined : text,
  }
}

const proxy: Kind<string> = {
  expected: 'an IP address or CIDR range such as 10.0.0.0/8',
  parse(text) {
    const [address = '', bits, ...rest] = text.split('/')
    const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
    const valid = bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= longest)
    return rest.length === 0 && longest > 0 && valid ? text : undefined
  },
}

export function readConfig(env: Environment): { config: ApiConfig; problems: readonly string[] } {
  const reader = createReader(env)
  const settings = readSettings(reader)
  const keysInRedis = readKeysInRedis(reader)
  if (reader.production && !keysInRedis && !reader.has('API_KEYS')) {
    reader.problem('API_KEYS', 'must be set when NODE_ENV=production, or API_KEYS_IN_REDIS=on')
  }
  // The numbers are the worker's to use; here they say how many codes can still leave in time.
  if (reader.production) requireInProduction(reader, ['SIGNALWIRE_NUMBER'])
  const config: ApiConfig = {
    ...settings,
    production: reader.production,
    host: reader.value('HOST', anyText, '127.0.0.1'),
    port: reader.value('PORT', port, 3000),
    metricsHost: reader.value('METRICS_HOST', anyText, '127.0.0.1'),
    metricsPort: reader.value('METRICS_PORT', portOrOff, 'off'),
    apiKeys: readApiKeys(reader),
    apiKeysFile: reader.value('API_KEYS_FILE', anyText, ''),
    keysInRedis,
    maxConnections: reader.value('MAX_CONNECTIONS', integer(1, 65_535), 2_000),
    publicForm: reader.value('PUBLIC_FORM', toggle, !reader.production),
    pythonRoutes: reader.value('GUIDE_PYTHON_ROUTES', toggle, false),
    trustedProxies: reader.value('TRUSTED_PROXIES', listOf(proxy), []),
    lists: readLists(reader),
    ...readChallenges(reader),
    streamLimits: {
      max: reader.value('STREAMS_MAX', integer(1, 10_000), 500),
      applicationMax: reader.value('STREAMS_APPLICATION_MAX', integer(1, 10_000), 200),
    },
    ...readRegions(reader, settings.senders),
    callbacks: readCallbacks(reader, settings.publicUrl),
    channels:
      settings.providers.includes('rest') && settings.senders.some(canCall) ? ['sms', 'call'] : ['sms'],
  }
  return { config, problems: reader.problems }
}

function readApiKeys(reader: Reader): readonly ApiKey[] {
  const keys = reader.secret('API_KEYS', listOf(apiKey), [])
  if (new Set(keys.map(({ digest }) => digest)).size < keys.length) {
    reader.problem('API_KEYS', 'the same key stands there twice')
  }
  return keys
}

/** What stands in API_KEYS_FILE by now, or everything wrong with it. */
export function parseApiKeys(text: string): { keys: readonly ApiKey[]; problems: readonly string[] } {
  const reader = createReader({ API_KEYS: text.trim() })
  if (!reader.has('API_KEYS')) reader.problem('API_KEYS_FILE', 'the file it names is empty')
  return { keys: readApiKeys(reader), problems: reader.problems }
}

/** Whoever asks for callbacks must be able to check them. */
function readCallbacks(reader: Reader, publicUrl: string): CallbackConfig | undefined {
  const signingKeys = reader.secret('SIGNALWIRE_SIGNING_KEY', listOf(signingKey(reader.production)), [])
  if (publicUrl !== '' && !reader.has('SIGNALWIRE_SIGNING_KEY')) {
    reader.problem('SIGNALWIRE_SIGNING_KEY', 'must be set with PUBLIC_URL: it checks what comes there')
  }
  return publicUrl === '' || signingKeys.length === 0 ? undefined : { publicUrl, signingKeys }
}
