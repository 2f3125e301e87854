// What `npm start` runs, from the environment: which programs, on which ports, with which variables. Says everything
// that is wrong at once, by name.

import { createReader, type Environment, integer } from '#runtime/env.ts'

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
    env: real ? {} : openToOneAddress(env),
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
  for (const { portVariable, port } of doubles(programs)) {
    reader.problem(portVariable, `must not be ${port}, which another program has`)
  }
  return { programs, problems: reader.problems }
}

/** With the sandbox nothing costs money, and whoever tries the page comes from one address all day. */
function openToOneAddress(env: Environment): Environment {
  const limits = ['LIMIT_IP_HOUR', 'LIMIT_IP_DAY', 'LIMIT_IP_NUMBERS_DAY', 'LIMIT_IP_WRONG_HOUR']
  return Object.fromEntries(limits.map((name) => [name, env[name] ?? 'off']))
}

function doubles(programs: Program[]): Program[] {
  return programs.filter((program, index) =>
    programs.slice(0, index).some((one) => one.port === program.port),
  )
}
