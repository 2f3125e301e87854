/**
 * The process's log: pino JSON lines on stdout, from a closed set of fields. A line never holds a code or a full
 * number, at any level: callers can only pass the fields below, and none of them carries a message's text.
 */
import { pino } from 'pino'

/** Every field a line may carry besides time, level and msg; one that is undefined is left out. */
export type LogFields = {
  request_id?: string | undefined
  client_ip?: string | undefined
  method?: string | undefined
  route?: string | undefined
  status?: number | undefined
  duration_ms?: number | undefined
  application?: string | undefined
  api_key?: string | undefined
  verification?: string | undefined
  send?: number | undefined
  attempt?: number | undefined
  queued_ms?: number | undefined
  provider?: string | undefined
  outcome?: string | undefined
  reason?: string | undefined
  receipt?: string | undefined
  event?: string | undefined
  event_id?: string | undefined
  refusal?: string | undefined
  limit?: string | undefined
  explain?: string | undefined
  destination?: string | undefined
  keyword?: string | undefined
  result?: string | undefined
  count?: number | undefined
  port?: number | undefined
  program?: string | undefined
  fault?: string | undefined
  stack?: string | undefined
}

export type Log = {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export function createLog(options: { program: string; level: LogLevel }): Log {
  // Lines are written while the next ones are made; what is left is written when the process exits.
  const destination = pino.destination({ dest: 1, sync: false, minLength: 8_192, periodicFlush: 100 })
  return pino({ level: options.level, base: { program: options.program } }, destination)
}

/** Told of each line, at whichever level it stands. */
export type Hear = (level: keyof Log, fields: LogFields, message: string) => void

/** The same log, whose lines are heard too, also those that its level leaves out. */
export function heardBy(log: Log, hear: Hear): Log {
  const said = (level: keyof Log) => (fields: LogFields, message: string) => {
    log[level](fields, message)
    hear(level, fields, message)
  }
  return { debug: said('debug'), info: said('info'), warn: said('warn'), error: said('error') }
}

/** Whether to say `what` now: it goes on and on, and is worth a line only every `quietMs`. Each is counted for itself. */
export function createSeldom(quietMs: number, now = () => performance.now()): (what?: string) => boolean {
  const quietUntil = new Map<string, number>()
  return (what = '') => {
    if (now() < (quietUntil.get(what) ?? Number.NEGATIVE_INFINITY)) return false
    quietUntil.set(what, now() + quietMs)
    return true
  }
}
