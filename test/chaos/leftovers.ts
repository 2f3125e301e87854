/** What must not be left when a run is over: endless keys, secrets in clear, processes. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { everythingIn } from '#test/fixtures/redis-contents.ts'
import { until } from '#test/fixtures/until.ts'
import { endlessKeys } from './keys.ts'
import type { Plan } from './plan.ts'
import { processesOf, type World } from './world.ts'

const QUIET_MS = 40_000
/** Words of the message; no program has them but in a text for a phone. */
const WORDS = 'Do not share it'

export async function leftInRedis(world: World, plan: Plan): Promise<string[]> {
  const redis = new Redis(world.redis.url)
  try {
    let endless: string[] = []
    // A job that waits for its next look is there until then.
    await until(QUIET_MS, 'keys without an end', async () => {
      endless = await endlessKeys(redis, world.prefix)
      return endless.length === 0
    }).catch(() => {})
    return [
      ...endless.map((key) => `a key without a TTL: ${key}`),
      ...secretsIn(await everythingIn(redis, '*'), plan).map((what) => `P8 Redis holds ${what}`),
      ...filesIn(world.redis.dir).flatMap((file) =>
        secretsIn(readFileSync(file, 'latin1'), plan).map((what) => `P8 a file of Redis holds ${what}`),
      ),
    ]
  } finally {
    redis.disconnect()
  }
}

export function leftInLogs(world: World, plan: Plan): string[] {
  return world.slots.flatMap(({ place, output }) =>
    secretsIn(output(), plan).map((what) => `P8 the log of ${place} holds ${what}`),
  )
}

export async function leftRunning(world: World): Promise<string[]> {
  await Promise.all(world.slots.map((slot) => slot.end('SIGTERM')))
  return processesOf(world.prefix).map((pid) => `a process is left: ${pid}`)
}

function secretsIn(text: string, { people }: Plan): string[] {
  const numbers = new Set(people.map(({ to }) => to.slice(1)))
  // Looked for at every digit, once: the file is large, and the sandbox lives in this program and must go on answering.
  const held = text.matchAll(/(?=(1\d{10}))/g).some(([, digits = '']) => numbers.has(digits))
  return [...(held ? ['a number in clear'] : []), ...(text.includes(WORDS) ? ['a message in clear'] : [])]
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile())
}
