/** The worker's configuration: the environment read once, or the list of everything wrong with it. */
import { anyText, createReader, type Environment, integer, type Kind, url } from '#runtime/env.ts'
import { readSettings, requireInProduction, type Settings, senderNumber } from '#runtime/settings.ts'
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
  /** The number messages come from. */
  sender: string
  signalwire: SignalWire
  /** Where events are told; nowhere when absent. */
  webhook: WebhookConfig | undefined
  production: boolean
}

const context: Kind<string> = {
  expected: '1 to 64 characters a-z A-Z 0-9 - _',
  parse: (text) => (/^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined),
}

/** What the sandbox is told; it asks for nothing in particular. */
const SANDBOX_CREDENTIALS = { project: 'sandbox', token: 'sandbox' }
const SANDBOX_SENDER = '+12025550199'

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
    port: reader.value('WORKER_PORT', integer(0, 65_535), 3002),
    concurrency: reader.value('WORKER_CONCURRENCY', integer(1, 1_000), 50),
    sender: reader.value('SIGNALWIRE_NUMBER', senderNumber, SANDBOX_SENDER),
    signalwire: readSignalWire(reader),
    webhook: readWebhook(reader),
  }
  return { config, problems: reader.problems }
}

/** Credentials mean SignalWire itself (or SIGNALWIRE_RELAY_URL); none mean the sandbox. */
function readSignalWire(reader: ReturnType<typeof createReader>): SignalWire {
  const shared = { context: reader.value('SIGNALWIRE_CONTEXT', context, 'auth') }
  const websocket = url('ws:', 'wss:')
  const project = reader.secret('SIGNALWIRE_PROJECT', anyText, '')
  const token = reader.secret('SIGNALWIRE_TOKEN', anyText, '')
  const relay = reader.value('SIGNALWIRE_RELAY_URL', websocket, '')
  if ((project === '') !== (token === '')) {
    reader.problem(
      project === '' ? 'SIGNALWIRE_PROJECT' : 'SIGNALWIRE_TOKEN',
      'project and token go together',
    )
  }
  if (project !== '' && !reader.has('SIGNALWIRE_NUMBER')) {
    reader.problem('SIGNALWIRE_NUMBER', 'must be set with SIGNALWIRE_PROJECT: the number messages come from')
  }
  if (project !== '') return { project, token, ...shared, ...(relay === '' ? {} : { host: relay }) }
  const sandbox = reader.value('SANDBOX_URL', websocket, 'ws://127.0.0.1:3001')
  return { ...SANDBOX_CREDENTIALS, ...shared, host: relay === '' ? sandbox : relay }
}
