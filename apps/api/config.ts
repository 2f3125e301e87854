/** The API's configuration: the environment read once, or the list of everything wrong with it. */
import { isIP } from 'node:net'
import { readLists, readRegions } from '#runtime/destination-settings.ts'
import {
  anyText,
  createReader,
  type Environment,
  integer,
  type Kind,
  listOf,
  type Reader,
  toggle,
} from '#runtime/env.ts'
import { readSettings, requireInProduction, type Settings } from '#runtime/settings.ts'
import type { Region } from '#verification/destination.ts'
import type { Lists } from '#verification/lists.ts'
import { canCall } from '#verification/sender.ts'
import { type Application, type Channel, parseApplication } from '#verification/verification.ts'
import type { CallbackConfig } from './callbacks.ts'

export type ApiKey = { application: Application; key: string }

export type ApiConfig = Settings & {
  host: string
  port: number
  production: boolean
  /** Empty outside production: then `/v1` is open and everything belongs to one application. */
  apiKeys: readonly ApiKey[]
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
  /** Where SignalWire's callbacks come, and what they are signed with; without it none are taken. */
  callbacks: CallbackConfig | undefined
  /** The ways a code can go with PROVIDERS and the numbers there are. */
  channels: readonly Channel[]
}

const KEY_SHORTEST = 32
/** What the form starts belongs to an application of its own. */
export const FORM_APPLICATION = 'form' as Application

const apiKey: Kind<ApiKey> = {
  expected: `NAME:KEY with a name of 1 to 32 characters a-z 0-9 - _ (not ${FORM_APPLICATION}) and a key of at least ${KEY_SHORTEST} characters`,
  parse(text) {
    const [, name = '', key = ''] = /^([^:]+):([!-~]+)$/.exec(text) ?? []
    const application = name === FORM_APPLICATION ? undefined : parseApplication(name)
    return application && key.length >= KEY_SHORTEST ? { application, key } : undefined
  },
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
  // The numbers are the worker's to use; here they say how many codes can still leave in time.
  if (reader.production) requireInProduction(reader, ['API_KEYS', 'SIGNALWIRE_NUMBER'])
  const config: ApiConfig = {
    ...settings,
    production: reader.production,
    host: reader.value('HOST', anyText, '127.0.0.1'),
    port: reader.value('PORT', integer(0, 65_535), 3000),
    apiKeys: reader.secret('API_KEYS', listOf(apiKey), []),
    publicForm: reader.value('PUBLIC_FORM', toggle, !reader.production),
    pythonRoutes: reader.value('GUIDE_PYTHON_ROUTES', toggle, false),
    trustedProxies: reader.value('TRUSTED_PROXIES', listOf(proxy), []),
    lists: readLists(reader),
    ...readRegions(reader, settings.senders),
    callbacks: readCallbacks(reader, settings.publicUrl),
    channels:
      settings.providers.includes('rest') && settings.senders.some(canCall) ? ['sms', 'call'] : ['sms'],
  }
  if (new Set(config.apiKeys.map(({ key }) => key)).size < config.apiKeys.length) {
    reader.problem('API_KEYS', 'the same key stands there twice')
  }
  return { config, problems: reader.problems }
}

/** Whoever asks for callbacks must be able to check them. */
function readCallbacks(reader: Reader, publicUrl: string): CallbackConfig | undefined {
  const signingKey = reader.secret('SIGNALWIRE_SIGNING_KEY', anyText, '')
  if (publicUrl !== '' && signingKey === '') {
    reader.problem('SIGNALWIRE_SIGNING_KEY', 'must be set with PUBLIC_URL: it checks what comes there')
  }
  return publicUrl === '' || signingKey === '' ? undefined : { publicUrl, signingKey }
}
