/**
 * The settings every program must agree on, read in one place: Redis, the keys, the policy, the messages. A worker
 * with another key or another policy than the API would open nothing and decide otherwise.
 */
import { createHash } from 'node:crypto'
import type { MessageStyle } from '#verification/message.ts'
import { DEFAULT_POLICY, HARD_LIMITS, type Policy } from '#verification/policy.ts'
import type { MasterKey } from '#verification/sealing.ts'
import type { Sender } from '#verification/sender.ts'
import { anyText, integer, type Kind, listOf, oneOf, type Reader, toggle, url } from './env.ts'
import { readEvents } from './event-settings.ts'
import { readPrices, readRules } from './gate-settings.ts'
import { LOG_LEVELS, type LogLevel } from './log.ts'
import { readMessageStyle } from './message-settings.ts'
import { readNumberLimits } from './number-settings.ts'
import type { RedisPlace, Sentinel } from './redis.ts'
import { readSenders } from './sender-settings.ts'

export type Settings = RedisPlace & {
  redisPrefix: string
  logLevel: LogLevel
  codeKeys: readonly MasterKey[]
  destinationKeys: readonly MasterKey[]
  policy: Policy
  message: MessageStyle
  shutdownDeadlineMs: number
  /** Ways of sending, in the order they are tried in. */
  providers: readonly ProviderName[]
  /** The API's address as SignalWire reaches it; empty when it does not. */
  publicUrl: string
  /** The numbers messages come from; at least one. */
  senders: readonly Sender[]
}

export type ProviderName = 'relay' | 'rest'

const KEY_BYTES = 32
const SECOND = 1_000

/** Public by design: so that the programs start beside each other on a laptop. Production refuses them. */
const developmentKey = (use: string) => createHash('sha256').update(`development only: ${use}`).digest()
const DEVELOPMENT = { code: developmentKey('code'), destination: developmentKey('destination') }

const key: Kind<Buffer> = {
  expected: `${KEY_BYTES} random bytes in base64 (openssl rand -base64 32)`,
  parse(text) {
    const bytes = /^[A-Za-z0-9+/]{43}=$/.test(text) ? Buffer.from(text, 'base64') : undefined
    return bytes?.length === KEY_BYTES && !isWeak(bytes) ? bytes : undefined
  },
}

/** A key somebody typed: one byte over and over, or nothing but a few. */
export function isWeak(bytes: Buffer): boolean {
  return new Set(bytes).size < 12 || isRepeated([...bytes])
}

/** Whether it is its own beginning over again, to the end: `changemechangemechange`. */
export function isRepeated(signs: readonly unknown[]): boolean {
  const half = Math.floor(signs.length / 2)
  const lengths = Array.from({ length: half }, (_, index) => index + 1)
  return lengths.some((length) => signs.every((sign, at) => at < length || sign === signs[at - length]))
}

const namedKey: Kind<MasterKey> = {
  expected: `NAME:KEY with a name of 1 to 4 characters a-z 0-9 and a key of ${key.expected}`,
  parse(text) {
    const [, id, secret] = /^([a-z0-9]{1,4}):(.+)$/.exec(text) ?? []
    const bytes = secret === undefined ? undefined : key.parse(secret)
    return id === undefined || bytes === undefined ? undefined : { id, secret: bytes }
  },
}

const prefix: Kind<string> = {
  expected: '1 to 20 characters a-z 0-9 - _',
  parse: (text) => (/^[a-z0-9_-]{1,20}$/.test(text) ? text : undefined),
}

const sentinel: Kind<Sentinel> = {
  expected: 'HOST:PORT such as sentinel-1:26379',
  parse(text) {
    const [, host, port] = /^([A-Za-z0-9.-]+|\[[0-9a-f:]+\]):([0-9]{1,5})$/.exec(text) ?? []
    const valid = host !== undefined && Number(port) > 0 && Number(port) < 65_536
    return valid ? { host: host.replace(/^\[|\]$/g, ''), port: Number(port) } : undefined
  },
}

const primaryName: Kind<string> = {
  expected: '1 to 64 characters A-Z a-z 0-9 . - _',
  parse: (text) => (/^[A-Za-z0-9._-]{1,64}$/.test(text) ? text : undefined),
}

/** Where the keys of the service are kept; all that an operator's command needs to know. */
export function readRedis(reader: Reader): RedisPlace & Pick<Settings, 'redisPrefix'> {
  return {
    redisUrl: reader.secret('REDIS_URL', url('redis:', 'rediss:'), 'redis://127.0.0.1:6379'),
    redisSentinels: reader.value('REDIS_SENTINELS', listOf(sentinel), []),
    redisSentinelName: reader.value('REDIS_SENTINEL_NAME', primaryName, 'mymaster'),
    redisSentinelPassword: reader.secret('REDIS_SENTINEL_PASSWORD', anyText, ''),
    redisPrefix: reader.value('REDIS_PREFIX', prefix, '2fa'),
  }
}

/** Whether the API keys of `npm run keys` count. In production only where somebody said so. */
export function readKeysInRedis(reader: Reader): boolean {
  return reader.value('API_KEYS_IN_REDIS', toggle, !reader.production)
}

export function readSettings(reader: Reader): Settings {
  const codeKeys = readKeys(reader, 'CODE_KEYS', DEVELOPMENT.code)
  const destinationKeys = readKeys(reader, 'DESTINATION_KEYS', DEVELOPMENT.destination)
  const isCodeKey = ({ secret }: MasterKey) => codeKeys.some((codeKey) => codeKey.secret.equals(secret))
  if (destinationKeys.some(isCodeKey)) {
    reader.problem('DESTINATION_KEYS', 'must be other keys than those of CODE_KEYS')
  }
  if (reader.has('DESTINATION_KEY')) {
    reader.problem(
      'DESTINATION_KEY',
      'is DESTINATION_KEYS now: write DESTINATION_KEYS=k1:KEY with the same key',
    )
  }
  if (reader.production) requireInProduction(reader, ['REDIS_URL', 'CODE_KEYS', 'DESTINATION_KEYS'])
  const policy = readPolicy(reader)
  return {
    ...readRedis(reader),
    logLevel: reader.value('LOG_LEVEL', oneOf(...LOG_LEVELS), 'info'),
    codeKeys,
    destinationKeys,
    policy,
    message: readMessageStyle(reader, policy.codeTtlMs),
    shutdownDeadlineMs: reader.value('SHUTDOWN_DEADLINE_SECONDS', integer(1, 300), 12) * SECOND,
    providers: readProviders(reader),
    publicUrl: reader.value('PUBLIC_URL', publicAddress(reader.production), ''),
    senders: readSenders(reader),
  }
}

/** Callbacks carry the message's text: in production they come encrypted or not at all. */
function publicAddress(production: boolean): Kind<string> {
  const { expected, parse } = url(...(production ? ['https:'] : ['https:', 'http:']))
  return {
    expected: `${expected}, without a query`,
    parse: (text) => (/[?#@]/.test(text) ? undefined : parse(text)?.replace(/\/$/, '')),
  }
}

function readProviders(reader: Reader): readonly ProviderName[] {
  const fallback: ProviderName[] = ['relay']
  const providers = reader.value('PROVIDERS', listOf(oneOf('relay', 'rest')), fallback)
  if (new Set(providers).size < providers.length)
    reader.problem('PROVIDERS', 'the same one stands there twice')
  return providers
}

/** Keys that rotate, newest first. Outside production the one that everybody knows will do. */
function readKeys(reader: Reader, name: string, development: Buffer): readonly MasterKey[] {
  const keys = reader.secret(name, listOf(namedKey), [{ id: 'dev', secret: development }])
  const names = new Set(keys.map(({ id }) => id))
  if (names.size < keys.length) reader.problem(name, 'two keys have the same name')
  const secrets = new Set(keys.map(({ secret }) => secret.toString('base64')))
  if (secrets.size < keys.length) reader.problem(name, 'the same key stands there twice')
  if (reader.production && keys.some(({ secret }) => secret.equals(development)))
    refusePublicKey(reader, name)
  return keys
}

/** A key that is missing falls back to the development key, and is named once, as missing. */
function refusePublicKey(reader: Reader, name: string): void {
  if (reader.has(name)) reader.problem(name, 'is the development key, which everybody knows')
}

export function requireInProduction(reader: Reader, names: readonly string[]): void {
  for (const name of names) {
    if (!reader.has(name)) reader.problem(name, 'must be set when NODE_ENV=production')
  }
}

function readPolicy(reader: Reader): Policy {
  const ttlMax = HARD_LIMITS.codeTtlMs / SECOND
  const ttl = integer(120, ttlMax)
  const codeTtlMs = reader.value('CODE_TTL_SECONDS', ttl, DEFAULT_POLICY.codeTtlMs / SECOND) * SECOND
  return {
    ...DEFAULT_POLICY,
    codeTtlMs,
    ...readNumberLimits(reader, { ...DEFAULT_POLICY, codeTtlMs }),
    checksMax: reader.value('CHECKS_MAX', integer(1, HARD_LIMITS.checksMax), DEFAULT_POLICY.checksMax),
    resendCode: reader.value('RESEND_CODE', oneOf('same', 'new'), DEFAULT_POLICY.resendCode),
    unknown: reader.value('UNKNOWN', oneOf('resend', 'stop'), DEFAULT_POLICY.unknown),
    rules: readRules(reader, DEFAULT_POLICY.rules),
    guessRules: readRules(reader, DEFAULT_POLICY.guessRules),
    prices: readPrices(reader),
    events: readEvents(reader),
  }
}
