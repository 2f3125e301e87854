/**
 * `npm run sending`: stops all sending at once, everywhere, and allows it again. Every start, resend and claim asks the
 * same key in the step that decides, so nothing is sent after this has said so; codes already sent can be checked.
 */
import { refuseToStart } from '#runtime/env.ts'
import { createKeys } from '#store/keys.ts'
import { createStop, type Stopped } from '#store/stop.ts'
import { readConfig } from './config.ts'
import { sentenceOfFault, withRedis } from './connection.ts'

const USAGE = `Usage:
  npm run sending -- stop [REASON]
  npm run sending -- start
  npm run sending -- status`

const { config, problems } = readConfig(process.env)
if (problems.length > 0) refuseToStart('sending', problems)

function sentenceOf(stopped: Stopped | undefined): string {
  if (!stopped) return 'Sending is allowed.'
  return `Sending is stopped since ${new Date(stopped.sinceMs).toISOString()}: ${stopped.reason}.`
}

async function run(command: string, reason: string): Promise<string> {
  return withRedis(config, async (redis) => {
    const stop = createStop({ redis, keys: createKeys(config.redisPrefix) })
    if (command === 'stop') await stop.stop(reason === '' ? 'no reason given' : reason, Date.now())
    if (command === 'start') await stop.allow()
    return sentenceOf(await stop.read())
  })
}

function say(stream: NodeJS.WriteStream, sentence: string, code: number): number {
  stream.write(`${sentence}\n`)
  return code
}

async function main([command = '', ...words]: readonly string[]): Promise<number> {
  const known = ['stop', 'start', 'status'].includes(command)
  if (!known || (command !== 'stop' && words.length > 0)) return say(process.stderr, USAGE, 2)
  try {
    return say(process.stdout, await run(command, words.join(' ')), 0)
  } catch (error) {
    const doubt = command === 'status' ? '' : ' Nothing is certain. Ask for the status.'
    return say(process.stderr, `${sentenceOfFault(error)}${doubt} Is REDIS_URL that of the APIs?`, 1)
  }
}

process.exitCode = await main(process.argv.slice(2))
