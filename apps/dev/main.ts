// `npm start`: a Redis, the sandbox (unless credentials are set), the API and the worker side by side, one log, and
// where to look. Everything it started ends with it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Program, readConfig } from './config.ts'
import { takenPort } from './ports.ts'
import { createPrinter } from './pretty.ts'
import { Stop } from './progress.mjs'
import { bringRedis, type Origin, type Redis } from './redis.ts'
import { listenForStop } from './stop-signals.ts'
import { runTogether, type StopSignals } from './together.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const ENV_FILE = join(ROOT, '.env')
const FROM: Record<Origin, string> = {
  REDIS_URL: 'the one of REDIS_URL',
  path: 'the server on this machine, data in .local/redis-data',
  docker: 'a container, data in .local/redis-data',
  package: 'the unpacked package of .local/redis, data in .local/redis-data',
}

async function main(startedMs: number, signals: StopSignals): Promise<void> {
  if (existsSync(ENV_FILE)) process.loadEnvFile(ENV_FILE)
  const { programs, problems } = readConfig(process.env)
  if (problems.length > 0)
    throw new Stop(`The environment (or .env) needs a change:\n  ${problems.join('\n  ')}`)
  await refuseTakenPort(programs)
  const dir = join(ROOT, '.local', 'redis-data')
  const redis = await bringRedis({ root: ROOT, env: process.env, dir, signal: signals.stop })
  signals.now.addEventListener('abort', redis.kill)
  try {
    await runTogether({
      root: ROOT,
      programs,
      env: { ...process.env, REDIS_URL: redis.url },
      signals,
      print: printer(programs),
      say,
      whenReady: () => say(whereToLook(programs, redis, Date.now() - startedMs)),
      lost: redis.ended.then((log) => `Redis ended by itself. Its last lines:\n${log}`),
    })
  } finally {
    await redis.stop()
  }
}

async function refuseTakenPort(programs: Program[]): Promise<void> {
  const taken = await takenPort(programs)
  if (taken === undefined) return
  const { name, port, portVariable } = taken
  throw new Stop(
    `Port ${port} is taken: end what listens there, or start with ${portVariable}=${port + 1000} to give ${name} another.`,
  )
}

function printer(programs: Program[]) {
  return createPrinter({
    names: programs.map(({ name }) => name),
    colour: process.stdout.isTTY,
    write: (text) => void process.stdout.write(text),
  })
}

function whereToLook(programs: Program[], redis: Redis, tookMs: number): string {
  const at = (name: Program['name']) => {
    const port = programs.find((program) => program.name === name)?.port
    return port === undefined ? undefined : `http://localhost:${port}`
  }
  const inbox = at('sandbox')
  const lines = [
    `Ready in ${(tookMs / 1000).toFixed(1)} s. Redis: ${FROM[redis.origin]}${addressOf(redis)}.`,
    '',
    `  Page   ${at('api')}`,
    inbox
      ? `  Inbox  ${inbox} (every SMS lands here; nothing leaves this machine)`
      : '  SMS    through SignalWire, for real',
    `  Try    curl ${at('api')}/v1/verifications -H 'content-type: application/json' -d '{"to":"+12025550123"}'`,
    '  Stop   Ctrl-C',
    '',
  ]
  return lines.join('\n')
}

/** For `npm run keys` and redis-cli. One that was given is known, and its address may hold a password. */
function addressOf({ origin, url }: Redis): string {
  return origin === 'REDIS_URL' ? '' : ` (${url})`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

// A reader that went away (`npm start | head`) must not keep us from ending what we started.
process.stdout.on('error', () => {})
const signals = listenForStop()
try {
  await main(Date.now() - performance.now(), signals)
} catch (error) {
  if (error instanceof Stop) process.stderr.write(`${error.message}\n`)
  else if (!signals.stop.aborted) throw error
  process.exitCode = signals.stop.aborted ? 0 : 1
}
process.exit(signals.now.aborted ? 130 : process.exitCode)
