/**
 * Connections to Redis: one kind for people who wait (fails fast, never runs a command twice by itself), one kind for
 * the queue (BullMQ's own settings). And what a Redis must be like to keep our promises.
 */
import { Redis, type RedisOptions } from 'ioredis'
import { createSeldom, type Log } from './log.ts'

/** A request waits this long for Redis at most; a fault is answered well within two seconds. */
const COMMAND_TIMEOUT_MS = 500
const CONNECT_TIMEOUT_MS = 2_000
/**
 * A machine that is gone without a word closes no socket; the kernel would wait for it for a quarter of an hour. BullMQ
 * blocks for up to 10 s where there is nothing to do.
 */
const SILENT = { forRequestsMs: 5_000, forQueueMs: 30_000 }
const RECONNECT_LONGEST_MS = 1_000

/** A right that lacks is said so often, and holds a program back for so long after it was last missed. */
const NO_RIGHT = { saidEveryMs: 600_000, forMs: 60_000 }

export type Sentinel = { host: string; port: number }

/**
 * Where Redis is: at an address; or, where there are sentinels, where they say, and then the address gives user,
 * password, database and TLS alone.
 */
export type RedisPlace = {
  redisUrl: string
  redisSentinels: readonly Sentinel[]
  redisSentinelName: string
  redisSentinelPassword: string
}

type Options = Omit<RedisOptions, 'replyMapping'>

const retryStrategy = (times: number) => Math.min(50 * 2 ** Math.min(times, 10), RECONNECT_LONGEST_MS)

/**
 * ioredis would run a script again whose reply was lost and hand out the second answer: "wrong" to the person whose
 * code had just been approved. So nothing is queued, resent or waited for beyond the timeout.
 */
export function connectForRequests(at: string | RedisPlace, log: Log): Redis {
  const redis = open(at, log, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SILENT.forRequestsMs,
  })
  return withQuietErrors(redis, log)
}

/** BullMQ blocks on its connections and insists on waiting for them. */
export function connectForQueue(at: string | RedisPlace, log: Log): Redis {
  const redis = open(at, log, {
    maxRetriesPerRequest: null,
    socketTimeout: SILENT.forQueueMs,
  })
  return withQuietErrors(redis, log)
}

function open(at: string | RedisPlace, log: Log, kind: Options): Redis {
  const options = {
    ...kind,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy,
    reconnectOnError: hearErrors(log),
    // It takes a right of its own, which Redis 7.0 does not even know.
    disableClientInfo: true,
  }
  if (typeof at === 'string') return new Redis(at, options)
  return new Redis(at.redisUrl, { ...options, ...(at.redisSentinels.length > 0 && askSentinels(at)) })
}

/** Told of a failover they leave a primary that is gone without a word, which no closed socket would tell. */
function askSentinels(place: RedisPlace): Options {
  const tls = place.redisUrl.startsWith('rediss:')
  return {
    sentinels: place.redisSentinels.map(({ host, port }) => ({ host, port })),
    name: place.redisSentinelName,
    sentinelRetryStrategy: retryStrategy,
    failoverDetector: true,
    ...(place.redisSentinelPassword !== '' && { sentinelPassword: place.redisSentinelPassword }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
  }
}

/** Every error that Redis answers comes by here; whether it is worth dialling anew. */
function hearErrors(log: Log): (error: Error) => boolean {
  const isReadOnly = leaveReadOnly()
  return (error) => {
    nameRight(error)
    if (lacksRight(error)) tellRight(error, log)
    return isReadOnly(error)
  }
}

/** A script that lacks a right fails with ERR, as by a mistake of ours: told apart here, for everybody who reads it. */
function nameRight(error: Error): void {
  if (/^ERR (The user executing the script|ACL failure in script)/.test(error.message))
    error.message = `NOPERM ${error.message}`
}

/** Of what came over a connection of ours. */
export const lacksRight = ({ message }: Error): boolean => message.startsWith('NOPERM')

/** What a program lacks, whichever of its connections it was missed on: each has one log. */
const rights = new WeakMap<Log, { isWorthSaying: () => boolean; missedAt: number }>()

function tellRight(error: Error, log: Log): void {
  const isWorthSaying = rights.get(log)?.isWorthSaying ?? createSeldom(NO_RIGHT.saidEveryMs)
  rights.set(log, { isWorthSaying, missedAt: performance.now() })
  const [, command = 'in a script or to a key'] = /the '([a-z|]+)' command/.exec(error.message) ?? []
  if (isWorthSaying())
    log.error(
      { reason: 'redis_right_missing', fault: `NOPERM ${command}` },
      'The Redis user lacks a right; ACL LOG says which (docs/runbook.md)',
    )
}

/**
 * A primary that became a replica keeps its connections and refuses every write: dialled anew, its name or its
 * sentinels lead to the new one. Not at every refusal, because the same Redis may be what there is.
 */
function leaveReadOnly(): (error: Error) => boolean {
  let notBefore = 0
  return ({ message }) => {
    if (!message.startsWith('READONLY') || performance.now() < notBefore) return false
    notBefore = performance.now() + RECONNECT_LONGEST_MS
    return true
  }
}

/**
 * ioredis knows replies by their order alone. One too many says that what answered cannot be trusted with the order: the
 * next would give the verdict on one code to who typed another, so the connection goes.
 */
const isOutOfStep = ({ message }: Error): boolean => message.startsWith('Command queue state error')

/** An outage is one line when it starts and one when it ends, not one a try. */
function withQuietErrors(redis: Redis, log: Log): Redis {
  let away = false
  redis.on('error', (error: Error) => {
    if (isOutOfStep(error)) {
      log.error({}, 'Redis answered what nobody had asked')
      return redis.disconnect(true)
    }
    if (!away) log.error({ fault: faultName(error) }, 'Redis is away')
    away = true
  })
  redis.on('ready', () => {
    if (away) log.info({}, 'Redis is back')
    away = false
  })
  return redis
}

/** An error's name and code; its message may quote a command and what is in it. */
export function faultName(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? `${error.name} ${error.code}` : error.name
}

/**
 * What is wrong with this Redis, as one word for /readyz and the log; `undefined` when it will do.
 * Evicted keys are budgets forgotten and codes lost; without AOF a restart forgets everything.
 */
export async function complaintAbout(redis: Redis, production: boolean): Promise<string | undefined> {
  const info = await redis.info()
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? ''
  const valkey = Number.parseInt(field('valkey_version'), 10)
  const version = Number.parseInt(field('redis_version'), 10)
  if (valkey ? valkey < 8 : version < 7) return 'redis_too_old'
  if (field('maxmemory_policy') !== 'noeviction') return 'redis_evicts_keys'
  if (production && field('aof_enabled') !== '1') return 'redis_without_aof'
  return undefined
}

/** Watches a connection: asks once whenever it becomes ready. */
export function watchRedis(redis: Redis, options: { production: boolean; log: Log }) {
  let complaint: string | undefined
  const ask = async () => {
    try {
      complaint = await complaintAbout(redis, options.production)
      if (complaint) options.log.error({ reason: complaint }, 'This Redis cannot keep our promises')
    } catch (error) {
      options.log.warn({ fault: faultName(error) }, 'Redis did not say what it is like')
    }
  }
  redis.on('ready', ask)
  return {
    /** Why this Redis cannot be worked with right now, if so. */
    async problem(): Promise<string | undefined> {
      if (redis.status !== 'ready') return 'redis_unreachable'
      const pong = await redis.ping().catch(() => undefined)
      if (pong === undefined) return 'redis_unreachable'
      const missedAt = rights.get(options.log)?.missedAt ?? Number.NEGATIVE_INFINITY
      if (performance.now() - missedAt < NO_RIGHT.forMs) return 'redis_right_missing'
      return complaint
    },
  }
}
