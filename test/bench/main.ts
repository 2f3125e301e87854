/** `npm run bench`: starts what it needs, measures in one run on one machine, prints ratios, ends what it started. */
import { join } from 'node:path'
import { bringRedis } from '#dev/redis.ts'
import { connectForQueue } from '#runtime/redis.ts'
import { benchIdle, benchSlowProvider } from './delivery.ts'
import { benchDrain } from './drain.ts'
import { benchEndurance } from './endurance.ts'
import { benchOverload } from './overload.ts'
import { printMachine } from './report.ts'
import { type BenchContext, benchGrowth, benchMemory, benchRequests } from './requests.ts'

const SECTIONS: Record<string, (context: BenchContext) => Promise<boolean[]>> = {
  requests: benchRequests,
  growth: benchGrowth,
  memory: benchMemory,
  idle: benchIdle,
  slow: benchSlowProvider,
  drain: benchDrain,
  endurance: benchEndurance,
  overload: benchOverload,
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** @param names sections to run; all of them when empty */
async function main(names: readonly string[]): Promise<number> {
  const root = join(import.meta.dirname, '../..')
  const server = await bringRedis({ root, env: { ...process.env, REDIS_URL: undefined } })
  const redis = connectForQueue(server.url, quiet)
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()))
  const reached: boolean[] = []
  try {
    printMachine(/redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? 'unknown')
    for (const [name, section] of Object.entries(SECTIONS)) {
      if (names.length > 0 && !names.includes(name)) continue
      reached.push(...(await section({ redisUrl: server.url, redis })))
      await redis.flushall()
    }
  } finally {
    redis.disconnect()
    await server.stop()
  }
  const missed = reached.filter((goal) => !goal).length
  console.log(
    missed === 0 ? '\nEvery goal was reached.' : `\n${missed} of ${reached.length} goals were missed.`,
  )
  return missed === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
