/**
 * Connections to Redis: one kind for people who wait (fails fast, never runs a command twice by itself), one kind for
 * the queue (BullMQ's own settings). And what a Redis must be like to keep our promises.
 */
import { Redis, type RedisOptions } from 'ioredis'
import type { Log } from './log.ts'

/** A request waits this long for Redis at most; a fault is answered well within two seconds. */
const COMMAND_TIMEOUT_MS = 500
const CONNECT_TIMEOUT_MS = 2_000
/**
 * A machine that is gone without a word closes no socket; the kernel would wait for it for a quarter of an hour. BullMQ
 * blocks for up to 10 s where there is nothing to do.
 */
const SILENT = { forRequestsMs: 5_000, forQueueMs: 30_000 }
const RECONNECT_LONGEST_MS = 1_000

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
  const redis = open(at, {
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
  const redis = open(at, {
    maxRetriesPerRequest: null,
    socketTimeout: SILENT.forQueueMs,
  })
  return withQuietErrors(redis, log)
}

function open(at: string | RedisPlace, kind: Options): Redis {
  const options = {
    ...kind,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy,
    reconnectOnError: leaveReadOnly(),
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

/** An outage is one line when it starts and one when it ends, not one a try. */
function withQuietErrors(redis: Redis, log: Log): Redis {
  let away = false
  redis.on('error', (error: Error) => {
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
      return pong === undefined ? 'redis_unreachable' : complaint
    },
  }
}
