/**
 * `npm run policy -- replay FILE`: runs recorded traffic against the policy of this environment and says who would have
 * been refused and what it would have cost. Nothing is sent; what it needs of Redis is removed again, also when the
 * traffic is wrong and when it is interrupted.
 */
import { createReadStream, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Redis } from 'ioredis'
import { refuseToStart } from '#runtime/env.ts'
import { countSegments } from '#verification/message.ts'
import { sentenceOfFault, withRedis } from './connection.ts'
import { readConfig } from './policy-config.ts'
import { createReplay } from './replay.ts'
import { createReport, isSent, lineOf } from './report.ts'
import { parseTraffic, TrafficMistake } from './traffic.ts'

const USAGE = 'Usage: npm run policy -- replay FILE    (one JSON object a line; see "The gate" in README.md)'

const { config, problems } = readConfig(process.env)
if (problems.length > 0) refuseToStart('policy', problems)

/** What a shell reports of a program that was interrupted. */
const INTERRUPTED = 130

/** Aborts at the first signal to stop; the second ends the program at once. */
function interruption(): AbortSignal {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
  return interrupted.signal
}

/** Answers the exit code. */
async function replay(redis: Redis, file: string, interrupted: AbortSignal): Promise<number> {
  const replay = createReplay({
    redis,
    policy: config.policy,
    regions: config.regions,
    lists: config.lists,
    countSegments: countSegments({ ...config.message, ttlMs: config.policy.codeTtlMs }),
  })
  const report = createReport()
  try {
    let number = 0
    for await (const line of createInterface({ input: createReadStream(file) })) {
      if (interrupted.aborted) return INTERRUPTED
      number += 1
      if (line.trim() === '') continue
      const verdict = await replay.judge(parseTraffic(line, number))
      report.add(verdict)
      const refused = verdict.traffic.event === 'start' && !isSent(verdict.result)
      if (refused) process.stdout.write(`${lineOf(verdict)}\n`)
    }
    process.stdout.write(`${report.summary()}\n`)
    return 0
  } finally {
    await replay.end()
  }
}

function say(sentence: string, code: number): number {
  process.stderr.write(`${sentence}\n`)
  return code
}

async function main([command, file, ...rest]: readonly string[]): Promise<number> {
  if (command !== 'replay' || file === undefined || rest.length > 0) return say(USAGE, 2)
  if (!existsSync(file)) return say(`There is no file ${file}.`, 1)
  try {
    return await withRedis(config, (redis) => replay(redis, file, interruption()))
  } catch (error) {
    if (error instanceof TrafficMistake) return say(`${file}, ${error.message}.`, 1)
    return say(sentenceOfFault(error), 1)
  }
}

process.exitCode = await main(process.argv.slice(2))
