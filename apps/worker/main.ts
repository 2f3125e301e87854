/** The worker's composition root: reads the configuration, connects, takes jobs, and ends in order. */
import { serve } from '@hono/node-server'
import { createDeliveryQueue } from '#queue/delivery-queue.ts'
import { createReceipts } from '#receipts/receipts.ts'
import { createAlarm } from '#runtime/alarm.ts'
import { refuseToStart } from '#runtime/env.ts'
import { listen } from '#runtime/listen.ts'
import { createLog, heardBy } from '#runtime/log.ts'
import { countedByBoth, countLines, createMetrics } from '#runtime/metrics.ts'
import { connectForQueue, connectForRequests, watchRedis } from '#runtime/redis.ts'
import { onShutdown, within } from '#runtime/shutdown.ts'
import { createDeliveries } from '#store/deliveries.ts'
import { createKeys } from '#store/keys.ts'
import { createLibraries } from '#store/libraries.ts'
import { createOutbox } from '#store/outbox.ts'
import { createReplies } from '#store/replies.ts'
import { createSuppressions } from '#store/suppressions.ts'
import { createTagKey } from '#store/tag-key.ts'
import { createObjectionTo } from '#verification/objection.ts'
import { createVault } from '#verification/vault.ts'
import { readConfig } from './config.ts'
import { createDeliver } from './deliver.ts'
import { createEventsOut } from './events.ts'
import { createHealth } from './health.ts'
import { createInbound } from './inbound.ts'
import { createIntake } from './intake.ts'
import { countedByWorker, watchWorker } from './metrics.ts'
import { createProcessor, startQueueWorker } from './processor.ts'
import { openProvider } from './providers.ts'
import { createSweeper } from './sweeper.ts'

const { config, problems } = readConfig(process.env)
if (problems.length > 0) refuseToStart('worker', problems)

const metrics = createMetrics()
const log = heardBy(
  createLog({ program: 'worker', level: config.logLevel }),
  countLines(metrics, countedByBoth(metrics), countedByWorker(metrics)),
)
const redis = connectForRequests(config, log)
const queueRedis = connectForQueue(config, log)
const { codeKeys, destinationKeys, policy, senders } = config
const keys = createKeys(config.redisPrefix)
const tagKey = createTagKey({ redis, keys, policy, destinationKeys })
const vault = createVault({ codeKeys, tags: tagKey.tags })
const parts = { redis, keys, policy, vault, senders }
const deliveries = createDeliveries(parts)
const alarm = createAlarm(log)
const receipts = createReceipts({ deliveries, forMs: policy.codeTtlMs, alarm, log })
const objectionTo = createObjectionTo(config)
const cutOff = new AbortController()
const inbound = createInbound({
  suppressions: createSuppressions(parts),
  send: (message) => provider.send(message, cutOff.signal),
  replies: createReplies(parts),
  objectionTo,
  brand: config.message.brand,
  contact: config.contact,
  log,
  random: Math.random,
})
const { provider, states } = openProvider(config, {
  onReceipt: receipts.take,
  onInbound: inbound.take,
  alarm,
  log,
})
const queue = createDeliveryQueue({ connection: queueRedis, prefix: config.redisPrefix })
const sweeper = createSweeper({ deliveries, queue, log })
const deliver = createDeliver({
  deliveries,
  provider,
  policy,
  objectionTo,
  message: config.message,
  log,
  random: Math.random,
  moment: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
})
const intake = createIntake({ provider, log })
const processor = createProcessor({ deliver, isOpen: intake.isOpen, log, signal: cutOff.signal })
const queueWorker = startQueueWorker({
  connection: queueRedis,
  prefix: config.redisPrefix,
  concurrency: config.concurrency,
  processor,
  log,
})
intake.start(queueWorker)
const eventsOut =
  config.webhook &&
  createEventsOut({
    webhook: config.webhook,
    connection: connectForQueue(config.redisUrl, log),
    prefix: config.redisPrefix,
    outbox: createOutbox({ redis, keys, policy }),
    log,
  })
const watch = watchRedis(redis, { production: config.production, log })
const stopTidying = createLibraries(parts).keepTidy()
const stopTagging = tagKey.keep(log)
let stopping = false
const health = createHealth({
  redisProblem: async () => (await watch.problem()) ?? tagKey.problem(),
  provider,
  stopping: () => stopping,
  metrics,
})
watchWorker(metrics, {
  isReady: async () => (await health.problems()).length === 0,
  canSend: provider.canSend,
  states,
  jobs: queue.counts,
  events: eventsOut?.waiting,
})
const server = await listen({
  program: 'worker',
  variable: 'WORKER_PORT',
  port: config.port,
  open: (onListening) =>
    serve({ fetch: health.app.fetch, hostname: config.host, port: config.port }, onListening),
})
log.info({ port: server.port }, 'worker ready for jobs')
sweeper.start()
eventsOut?.start()
if (config.publicUrl !== '') inbound.start()

onShutdown({
  deadlineMs: config.shutdownDeadlineMs,
  log,
  async stop() {
    stopping = true
    stopTidying()
    stopTagging()
    intake.stop()
    await within(1_000, sweeper.stop())
    // With Redis away there is nobody to tell, and with nothing in hand nothing to wait for.
    const abandon = queueRedis.status !== 'ready' && processor.inHand() === 0
    const closing = queueWorker.close(abandon)
    const telling = eventsOut?.stop(config.shutdownDeadlineMs)
    const finished = await within(config.shutdownDeadlineMs, closing)
    // What is still in a provider's hands is recorded as unknown, which is what it is.
    cutOff.abort()
    inbound.stop()
    await within(1_000, Promise.all([closing, inbound.settled()]))
    await provider.close()
    await within(1_000, receipts.stop())
    await within(1_000, queue.close())
    await telling
    redis.disconnect()
    queueRedis.disconnect()
    server.close()
    return finished
  },
})
