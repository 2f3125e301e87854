// Finds a Redis for a developer's machine, or brings one: REDIS_URL, a server on the PATH, Docker, the distribution's
// package unpacked without root. The first that works wins; when none does, one sentence says what to install.

import { lastLines, run, which } from './command.mjs'
import { during, Stop, Unusable } from './progress.mjs'
import { bringPackage, packagesHere } from './redis-package.ts'
import { type Launch, type RunningServer, startServer } from './redis-server.ts'

export type Origin = 'REDIS_URL' | 'path' | 'docker' | 'package'

export type Redis = {
  url: string
  origin: Origin
  /** Settles when a server of ours ends, wanted or not. Never for REDIS_URL. */
  ended: Promise<string>
  /** Ends a server that we started and waits for it; leaves REDIS_URL alone. */
  stop(): Promise<void>
  /** The same at once, without waiting. */
  kill(): void
}

export type RedisOptions = {
  /** The project's folder: what is brought goes to `.local` in it. */
  root: string
  env: NodeJS.ProcessEnv
  /** The folder that keeps the data; without one, a throwaway folder that goes with stop(). */
  dir?: string | undefined
  signal?: AbortSignal | undefined
  /** Where a server may come from, in this order. */
  origins?: readonly Origin[]
}

const ORIGINS: readonly Origin[] = ['REDIS_URL', 'path', 'docker', 'package']

const IMAGE = 'redis:8'
const DOCKER_ANSWER_MS = 3000

export async function bringRedis(options: RedisOptions): Promise<Redis> {
  const failures: string[] = []
  for (const origin of options.origins ?? ORIGINS) {
    try {
      const redis = await FROM[origin](options)
      if (redis !== undefined) return { origin, ...redis }
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof Unusable)) throw error
      failures.push(error.message)
    }
  }
  throw new Stop(noRedis(failures))
}

const FROM: Record<Origin, (options: RedisOptions) => Promise<Omit<Redis, 'origin'> | undefined>> = {
  REDIS_URL: async ({ env }) => {
    const url = env.REDIS_URL
    return url ? { url, ended: new Promise(() => {}), stop: async () => {}, kill: () => {} } : undefined
  },
  path: async (options) => {
    const found = which(['redis-server', 'valkey-server'], options.env)
    return found === undefined ? undefined : await startBinary(found, options.env, options)
  },
  docker: async (options) => ((await dockerAnswers(options.env)) ? await startContainer(options) : undefined),
  package: async (options) => {
    if (!packagesHere()) return undefined
    const { binary, env } = await bringPackage(options)
    return await startBinary(binary, env, options)
  },
}

async function startBinary(
  binary: string,
  env: NodeJS.ProcessEnv,
  options: RedisOptions,
): Promise<RunningServer> {
  const { output } = await run(binary, ['--version'], { env })
  if (!recentEnough(output)) throw new Unusable(`${binary} is too old or does not run (${output.trim()})`)
  const launch: Launch = ({ dir, port, settings }) => ({
    command: binary,
    args: ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, ...settings],
    env,
  })
  return await startServer({ launch, dir: options.dir, signal: options.signal })
}

/** What the service asks for at boot: Redis 7 or Valkey 8. */
export function recentEnough(version: string): boolean {
  const major = /\bv=(\d+)\./.exec(version)?.[1]
  return major !== undefined && Number(major) >= (/valkey/i.test(version) ? 8 : 7)
}

export async function dockerAnswers(env: NodeJS.ProcessEnv): Promise<boolean> {
  const docker = which(['docker'], env)
  if (docker === undefined) return false
  const { code } = await run(docker, ['info'], { env, timeoutMs: DOCKER_ANSWER_MS })
  return code === 0
}

/** Runs in the foreground: Docker passes our SIGTERM on to the server, and --rm removes the container after it. */
async function startContainer({ env, dir, signal }: RedisOptions): Promise<RunningServer> {
  const docker = which(['docker'], env) ?? 'docker'
  const present = await run(docker, ['image', 'inspect', IMAGE], { env, signal })
  if (present.code !== 0) {
    await during(`Bringing the image ${IMAGE} (once)`, async () => {
      const { code, output } = await run(docker, ['pull', IMAGE], { env, signal })
      if (code !== 0) throw new Unusable(`Docker could not bring ${IMAGE}:\n${lastLines(output)}`)
    })
  }
  const launch: Launch = ({ dir: folder, port, settings }) => ({
    command: docker,
    args: [
      'run',
      '--rm',
      '-p',
      `127.0.0.1:${port}:6379`,
      '-v',
      `${folder}:/data`,
      ...asUs(),
      IMAGE,
      'redis-server',
      ...settings,
    ],
    env,
  })
  return await startServer({ launch, dir, signal })
}

/** The container writes our folder as us: its files must be ours to read and to delete. */
function asUs(): string[] {
  const uid = process.getuid?.()
  const gid = process.getgid?.()
  return uid === undefined || gid === undefined ? [] : ['--user', `${uid}:${gid}`]
}

function noRedis(failures: string[]): string {
  const tried = failures.map((failure) => `\n    ${failure}`).join('')
  return (
    'No Redis to be had: install redis-server (7 or newer) or valkey-server, or start Docker, or set REDIS_URL ' +
    `(redis://host:6379).${tried && ` What was tried:${tried}`}`
  )
}
