/**
 * What a loop of ours stumbled over, in the log. Redis being away is said once by its connection, so here it is worth a
 * line at debug; anything else is a fault of our own: an error with where it happened, and not again and again.
 */
import { QueueFault } from '#queue/queue-fault.ts'
import { createSeldom, type Log, type LogFields } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import { StoreFault } from '#store/script.ts'

/** What goes on is said again after so long. */
export const SAID_AGAIN_MS = 600_000

export type FaultLog = (error: unknown, fields: LogFields, message: string) => void

/** Keeps apart what happens to each application. */
export function createFaultLog(log: Log, now = () => performance.now()): FaultLog {
  const isWorthSaying = createSeldom(SAID_AGAIN_MS, now)
  return (error, fields, message) => {
    if (error instanceof StoreFault || error instanceof QueueFault)
      return log.debug({ ...fields, fault: faultName(error.cause ?? error) }, message)
    const fault = faultName(error)
    const what = JSON.stringify([message, fault, fields.application])
    if (isWorthSaying(what)) log.error({ ...fields, fault, stack: callsOf(error) }, message)
  }
}

/** Where it happened, without the message, which may quote what was being read. */
function callsOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return error.stack
    ?.split('\n')
    .filter((line) => /^ +at /.test(line))
    .join('\n')
}
