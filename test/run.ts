// `npm test`: brings what the tests need (a Redis of their own, a Chromium), runs vitest with it, and takes it down
// again whatever happens. Arguments go to vitest: `npm test -- test/store`.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { browserNeeded, findChromium } from '#dev/chromium.ts'
import { during, Stop } from '#dev/progress.mjs'
import { bringRedis, dockerAnswers } from '#dev/redis.ts'

const ROOT = join(import.meta.dirname, '..')
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

type TestRedis = { url: string; stop(): Promise<void> }

async function main(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const abort = new AbortController()
  for (const signal of STOP_SIGNALS) process.once(signal, () => abort.abort(new Stop(`ended by ${signal}`)))
  const browser = browserNeeded(args) ? await chromium(env, abort.signal) : {}
  const redis = await testRedis(env, abort.signal)
  try {
    return await vitest(args, { ...env, ...browser, TEST_REDIS_URL: redis.url }, abort.signal)
  } finally {
    await redis.stop()
  }
}

async function chromium(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<NodeJS.ProcessEnv> {
  const found = await findChromium(env, signal)
  if ('path' in found) return { CHROMIUM_PATH: found.path }
  console.error(`› Browser tests are SKIPPED: ${found.missing}`)
  return {}
}

/** Never REDIS_URL, which may hold somebody's data: TEST_REDIS_URL when given, else a throwaway server. */
async function testRedis(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<TestRedis> {
  const given = env.TEST_REDIS_URL
  if (given) return { url: given, stop: async () => {} }
  const container = (await dockerAnswers(env)) ? await containerRedis() : undefined
  return container ?? (await bringRedis({ root: ROOT, env, signal, origins: ['path', 'package'] }))
}

async function containerRedis(): Promise<TestRedis | undefined> {
  const { GenericContainer } = await import('testcontainers')
  const settings = ['--maxmemory-policy', 'noeviction', '--appendonly', 'yes', '--save', '']
  try {
    const started = await during('Starting redis:8 in a container', () =>
      new GenericContainer('redis:8')
        .withExposedPorts(6379)
        .withCommand(['redis-server', ...settings])
        .start(),
    )
    const url = `redis://${started.getHost()}:${started.getMappedPort(6379)}`
    return { url, stop: async () => void (await started.stop()) }
  } catch (error) {
    console.error(`› Docker answers but gives no Redis (${error}); using a local server.`)
    return undefined
  }
}

/** Tells vitest of a stop once; it ends by itself, and the launcher ends it if it does not. */
function vitest(args: string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const file = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const child = spawn(process.execPath, [file, 'run', ...args], { cwd: ROOT, env, stdio: 'inherit' })
  signal.addEventListener('abort', () => child.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

try {
  process.exitCode = await main(process.argv.slice(2), process.env)
} catch (error) {
  if (!(error instanceof Stop)) throw error
  console.error(error.message)
  process.exitCode = 1
}
