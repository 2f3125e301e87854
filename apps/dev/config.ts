// What `npm start` runs, from the environment: which programs, on which ports, with which variables. Says everything
// that is wrong at once, by name.

import { createReader, type Environment, integer, portOrOff } from '#runtime/env.ts'

export type Program = {
  name: 'sandbox' | 'api' | 'worker'
  /** Path in the project's folder. */
  file: string
  port: number
  /** The variable that moves the port. */
  portVariable: string
  env: Environment
  /** Still there while the others finish what they have in hand. */
  endsLast: boolean
}

export function readConfig(env: Environment): { programs: Program[]; problems: readonly string[] } {
  const reader = createReader(env)
  const port = (name: string, fallback: number) => reader.value(name, integer(1, 65_535), fallback)
  const sandboxPort = port('SANDBOX_PORT', 3001)
  const real = reader.has('SIGNALWIRE_PROJECT') && reader.has('SIGNALWIRE_TOKEN')
  const api: Program = {
    name: 'api',
    file: 'apps/api/main.ts',
    port: port('PORT', 3000),
    portVariable: 'PORT',
    env: real ? {} : openToOnePerson(env),
    endsLast: false,
  }
  const worker: Program = {
    name: 'worker',
    file: 'apps/worker/main.ts',
    port: port('WORKER_PORT', 3002),
    portVariable: 'WORKER_PORT',
    env: real ? {} : { SANDBOX_URL: `ws://127.0.0.1:${sandboxPort}` },
    endsLast: false,
  }
  const sandbox: Program = {
    name: 'sandbox',
    file: 'apps/sandbox/main.ts',
    port: sandboxPort,
    portVariable: 'SANDBOX_PORT',
    env: {},
    endsLast: true,
  }
  if (!real && reader.production) {
    const wanted = ['SIGNALWIRE_PROJECT', 'SIGNALWIRE_TOKEN'].filter((name) => !reader.has(name))
    for (const name of wanted)
      reader.problem(name, 'must be set: with NODE_ENV=production there is no sandbox')
  }
  const programs = real ? [api, worker] : [sandbox, api, worker]
  const metrics = { port: reader.value('METRICS_PORT', portOrOff, 'off'), portVariable: 'METRICS_PORT' }
  for (const { portVariable, port } of doubles([...programs, metrics])) {
    reader.problem(portVariable, `must not be ${port}, which another program has`)
  }
  return { programs, problems: reader.problems }
}

/** What counts one person's address, or the one range of numbers that all those of the sandbox lie in. */
const OF_ONE_PERSON = [
  'LIMIT_IP_HOUR',
  'LIMIT_IP_DAY',
  'LIMIT_IP_NUMBERS_DAY',
  'LIMIT_IP_REGIONS_DAY',
  'LIMIT_NETWORK_HOUR',
  'LIMIT_PREFIX_HOUR',
  'LIMIT_PREFIX_CONVERSION',
  'LIMIT_PREFIX_CONVERSION_LOW',
  'LIMIT_RANGE_NUMBERS',
  'LIMIT_IP_WRONG_HOUR',
  'LIMIT_NETWORK_WRONG_HOUR',
]

/** With the sandbox nothing costs money, and whoever tries it comes from one address all day. */
function openToOnePerson(env: Environment): Environment {
  return Object.fromEntries(OF_ONE_PERSON.map((name) => [name, env[name] || 'off']))
}

type Place = { port: number | 'off'; portVariable: string }

function doubles(places: readonly Place[]): Place[] {
  return places.filter(({ port }, index) => places.slice(0, index).some((one) => one.port === port))
}
