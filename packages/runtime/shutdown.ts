/**
 * The end of a program: the first SIGTERM or SIGINT starts an orderly stop with a deadline, the second ends it at once.
 * And what a deadline needs: work that ends in time or not, and waits that an end makes shorter.
 */
import type { Log } from './log.ts'
import { faultName } from './redis.ts'

/** Time for what follows the deadline: recording what was cut off and closing connections. */
const AFTERMATH_MS = 3_000

/**
 * @param stop does all of it and answers whether everything in hand was finished; it has `deadlineMs` and then a
 *   moment to write down the rest
 */
export function onShutdown(options: { deadlineMs: number; log: Log; stop: () => Promise<boolean> }): void {
  let stopping = false
  const signaled = async (signal: NodeJS.Signals) => {
    if (stopping) process.exit(130)
    stopping = true
    options.log.info({ reason: signal }, 'stopping')
    setTimeout(() => process.exit(1), options.deadlineMs + AFTERMATH_MS).unref()
    try {
      const finished = await options.stop()
      options.log.info({ result: finished ? 'finished' : 'cut off' }, 'stopped')
      process.exit(finished ? 0 : 1)
    } catch (error) {
      options.log.error({ fault: faultName(error) }, 'stopping failed')
      process.exit(1)
    }
  }
  process.on('SIGTERM', signaled)
  process.on('SIGINT', signaled)
}

/** Whether `work` ends within `ms`. */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  work.then(
    () => resolve(true),
    () => resolve(true),
  )
  const ended = await promise
  clearTimeout(timer)
  return ended
}

/** A wait that an abort makes shorter; after one it is a wait like any other. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const wake = () => resolve()
  signal.addEventListener('abort', wake)
  await promise
  clearTimeout(timer)
  signal.removeEventListener('abort', wake)
}
