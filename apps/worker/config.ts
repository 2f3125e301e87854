/** The worker's configuration: the environment read once, or the list of everything wrong with it. */
import { readLists, readRegions } from '#runtime/destination-settings.ts'
import {
  anyText,
  createReader,
  type Environment,
  integer,
  type Kind,
  port,
  type Reader,
  url,
} from '#runtime/env.ts'
import { type ProviderName, readSettings, requireInProduction, type Settings } from '#runtime/settings.ts'
import type { Region } from '#verification/destination.ts'
import type { Lists } from '#verification/lists.ts'
import { CONTACT_LONGEST, isContact } from '#verification/reply.ts'
import { readWebhook, type WebhookConfig } from './webhook-settings.ts'

export type SignalWire = {
  project: string
  token: string
  /** Another Realtime host, such as the sandbox's; SignalWire's own when absent. */
  host?: string
  context: string
}

export type WorkerConfig = Settings & {
  host: string
  port: number
  concurrency: number
  /** Where a person gets help, for the answer to HELP; '' for nowhere. */
  contact: string
  /** Where codes are sent to, and so where a person who writes to us is answered. */
  regions: ReadonlySet<Region>
  lists: Lists
  signalwire: SignalWire
  /** Where SignalWire's REST is, or the sandbox's. */
  restUrl: string
  /** Where events are told; nowhere when absent. */
  webhook: WebhookConfig | undefined
  production: boolean
}

const contact: Kind<string> = {
  expected: `an address or a number of 1 to ${CONTACT_LONGEST} plain characters (as BRAND_NAME)`,
  parse: (text) => (isContact(text) ? text : undefined),
}

const context: Kind<string> = {
  expected: '1 to 64 characters a-z A-Z 0-9 - _',
  parse: (text) => (/^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined),
}

/** What the sandbox is told; it asks for nothing in particular. */
const SANDBOX_CREDENTIALS = { project: 'sandbox', token: 'sandbox' }

export function readConfig(env: Environment): { config: WorkerConfig; problems: readonly string[] } {
  const reader = createReader(env)
  const settings = readSettings(reader)
  if (reader.production) {
    requireInProduction(reader, ['SIGNALWIRE_PROJECT', 'SIGNALWIRE_TOKEN', 'SIGNALWIRE_NUMBER'])
  }
  const config: WorkerConfig = {
    ...settings,
    production: reader.production,
    host: reader.value('WORKER_HOST', anyText, '127.0.0.1'),
    port: reader.value('WORKER_PORT', port, 3002),
    concurrency: reader.value('WORKER_CONCURRENCY', integer(1, 1_000), 50),
    contact: reader.value('SUPPORT_CONTACT', contact, ''),
    regions: readRegions(reader, settings.senders).regions,
    lists: readLists(reader),
    ...readSignalWire(reader, settings.providers),
    webhook: readWebhook(reader),
  }
  return { config, problems: reader.problems }
}

const space: Kind<string> = {
  expected: 'the name of your SignalWire space, such as example or example.signalwire.com',
  parse: (text) => /^([a-z0-9][a-z0-9-]{0,62})(\.signalwire\.com)?$/i.exec(text)?.[1],
}

/** Credentials mean SignalWire itself (or SIGNALWIRE_RELAY_URL and SIGNALWIRE_REST_URL); none mean the sandbox. */
function readSignalWire(
  reader: Reader,
  providers: readonly ProviderName[],
): Pick<WorkerConfig, 'signalwire' | 'restUrl'> {
  const shared = { context: reader.value('SIGNALWIRE_CONTEXT', context, 'auth') }
  const websocket = url('ws:', 'wss:')
  const project = reader.secret('SIGNALWIRE_PROJECT', anyText, '')
  const token = reader.secret('SIGNALWIRE_TOKEN', anyText, '')
  const relay = reader.value('SIGNALWIRE_RELAY_URL', websocket, '')
  const rest = reader.value(
    'SIGNALWIRE_REST_URL',
    reader.production ? url('https:') : url('http:', 'https:'),
    '',
  )
  const name = reader.value('SIGNALWIRE_SPACE', space, '')
  const sandbox = reader.value('SANDBOX_URL', websocket, 'ws://127.0.0.1:3001')
  if ((project === '') !== (token === '')) {
    reader.problem(
      project === '' ? 'SIGNALWIRE_PROJECT' : 'SIGNALWIRE_TOKEN',
      'project and token go together',
    )
  }
  if (project !== '' && !reader.has('SIGNALWIRE_NUMBER')) {
    reader.problem('SIGNALWIRE_NUMBER', 'must be set with SIGNALWIRE_PROJECT: the numbers messages come from')
  }
  if (project === '') {
    return {
      signalwire: { ...SANDBOX_CREDENTIALS, ...shared, host: relay || sandbox },
      restUrl: rest || sandbox.replace(/^ws/, 'http'),
    }
  }
  if (providers.includes('rest') && rest === '' && !reader.has('SIGNALWIRE_SPACE')) {
    reader.problem('SIGNALWIRE_SPACE', 'must be set where PROVIDERS names rest')
  }
  return {
    signalwire: { project, token, ...shared, ...(relay === '' ? {} : { host: relay }) },
    restUrl: rest || `https://${name}.signalwire.com`,
  }
}
