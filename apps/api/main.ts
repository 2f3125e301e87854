/** The API's composition root: reads the configuration, connects, listens, and ends in order. */
import { createCaptcha } from '#captcha/captcha.ts'
import { createDeliveryQueue } from '#queue/delivery-queue.ts'
import { createKeywords } from '#receipts/keywords.ts'
import { createReceipts } from '#receipts/receipts.ts'
import { createAlarm } from '#runtime/alarm.ts'
import { refuseToStart } from '#runtime/env.ts'
import { listen } from '#runtime/listen.ts'
import { createLog, heardBy } from '#runtime/log.ts'
import { countedByBoth, countLines, createMetrics } from '#runtime/metrics.ts'
import { connectForQueue, connectForRequests, faultName, watchRedis } from '#runtime/redis.ts'
import { onShutdown, within } from '#runtime/shutdown.ts'
import { createApiKeys } from '#store/api-keys.ts'
import { createDeliveries } from '#store/deliveries.ts'
import { createDestinations } from '#store/destinations.ts'
import { createKeys } from '#store/keys.ts'
import { createLibraries } from '#store/libraries.ts'
import { createSuppressions } from '#store/suppressions.ts'
import { createTagKey } from '#store/tag-key.ts'
import { createVerifications } from '#store/verifications.ts'
import { createChallenges } from '#verification/challenge.ts'
import { countSegments } from '#verification/message.ts'
import { createVault } from '#verification/vault.ts'
import { FORM_APPLICATION, type SendReference } from '#verification/verification.ts'
import { createApp } from './app.ts'
import { DEFAULT_APPLICATION } from './caller.ts'
import { createChallenger } from './challenger.ts'
import { readConfig } from './config.ts'
import { FORM_ANSWER_MS } from './guide.ts'
import { createKeyRing } from './key-ring.ts'
import { followKeys } from './key-sources.ts'
import { countedByApi, serveMetrics } from './metrics.ts'
import { createApiServer, listenOn, SERVER_LIMITS } from './server.ts'
import { createStreams } from './streams.ts'

/** Each API tells the sweepers whom it serves, well before they would forget. */
const SEEN_EVERY_MS = 60_000

const { config, problems } = readConfig(process.env)
if (problems.length > 0) refuseToStart('api', problems)

const metrics = createMetrics()
const log = heardBy(
  createLog({ program: 'api', level: config.logLevel }),
  countLines(metrics, countedByBoth(metrics), countedByApi(metrics)),
)
const redis = connectForRequests(config, log)
// Not shared with the queue: BullMQ insists on waiting for Redis, and nobody's request may.
const queueRedis = connectForQueue(config, log)
const { codeKeys, destinationKeys, policy, senders } = config
const keys = createKeys(config.redisPrefix)
const tagKey = createTagKey({ redis, keys, policy, destinationKeys })
const vault = createVault({ codeKeys, tags: tagKey.tags })
const parts = { redis, keys, policy, vault, senders }
const queue = createDeliveryQueue({ connection: queueRedis, prefix: config.redisPrefix })
const watch = watchRedis(redis, { production: config.production, log })
const deliveries = createDeliveries(parts)
const receipts = createReceipts({ deliveries, forMs: policy.codeTtlMs, alarm: createAlarm(log), log })
const keywords = createKeywords({ suppressions: createSuppressions(parts), log })
const ring = createKeyRing(config)
let stopping = false

function enqueue(send: SendReference): void {
  queue.enqueue(send).catch((error: unknown) => {
    const { application, verification } = send
    log.warn({ application, verification, send: send.send, fault: faultName(error) }, 'left to the sweeper')
  })
}

async function seeApplications(): Promise<void> {
  const applications = new Set([DEFAULT_APPLICATION, FORM_APPLICATION, ...ring.applications()])
  try {
    await deliveries.seeApplications([...applications], Date.now())
  } catch (error) {
    log.debug({ fault: faultName(error) }, 'applications not announced')
  }
}
redis.on('ready', seeApplications)
const seeing = setInterval(seeApplications, SEEN_EVERY_MS)
const stopTidying = createLibraries(parts).keepTidy()
const stopTagging = tagKey.keep(log)

const apiKeys = followKeys({ config, apiKeys: createApiKeys(parts), ring, log, onChange: seeApplications })
redis.on('ready', apiKeys.look)

const verifications = createVerifications({
  ...parts,
  countSegments: countSegments({ ...config.message, ttlMs: policy.codeTtlMs }),
})
const readiness = async () => (stopping ? 'stopping' : ((await watch.problem()) ?? tagKey.problem()))
metrics.value('ready', 'As /readyz', async () => (await readiness()) === undefined)
const streams = createStreams({ readMany: verifications.readMany, limits: config.streamLimits, log })
const app = createApp({
  config,
  ring,
  verifications,
  challenger: createChallenger({
    challenges: createChallenges(tagKey.tags),
    vault,
    bits: config.challengeBits,
    captcha: config.captcha && createCaptcha(config.captcha),
  }),
  destinations: createDestinations(parts),
  streams,
  enqueue,
  takeReceipt: receipts.take,
  takeInbound: keywords.take,
  readiness,
  formAnswerMs: FORM_ANSWER_MS,
  log,
})
const httpServer = createApiServer({
  fetch: app.fetch,
  hostname: config.host,
  production: config.production,
  limits: { ...SERVER_LIMITS, connectionsMax: config.maxConnections },
  log,
})
const { metricsHost: hostname, metricsPort } = config
const metricsServer =
  metricsPort !== 'off' &&
  (await listen({
    program: 'api',
    variable: 'METRICS_PORT',
    port: metricsPort,
    open: (onListening) => serveMetrics(metrics, { hostname, port: metricsPort }, onListening),
  }))
const server = await listen({
  program: 'api',
  variable: 'PORT',
  port: config.port,
  open: (onListening) => listenOn(httpServer, config, onListening),
})
if (metricsServer) log.info({ port: metricsServer.port }, 'metrics listening')
log.info({ port: server.port }, 'api listening')

onShutdown({
  deadlineMs: config.shutdownDeadlineMs,
  log,
  async stop() {
    stopping = true
    clearInterval(seeing)
    stopTidying()
    stopTagging()
    apiKeys.stop()
    streams.stop()
    const finished = await within(config.shutdownDeadlineMs, server.close())
    keywords.stop()
    await within(1_000, Promise.all([receipts.stop(), keywords.settled()]))
    await within(1_000, queue.close())
    redis.disconnect()
    queueRedis.disconnect()
    if (metricsServer) void metricsServer.close()
    return finished
  },
})
