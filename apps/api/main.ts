/** The API's composition root: reads the configuration, connects, listens, and ends in order. */
import { serve } from '@hono/node-server'
import { createDeliveryQueue } from '#queue/delivery-queue.ts'
import { createReceipts } from '#receipts/receipts.ts'
import { refuseToStart } from '#runtime/env.ts'
import { listen } from '#runtime/listen.ts'
import { createLog } from '#runtime/log.ts'
import { connectForQueue, connectForRequests, faultName, watchRedis } from '#runtime/redis.ts'
import { onShutdown, within } from '#runtime/shutdown.ts'
import { createDeliveries } from '#store/deliveries.ts'
import { createKeys } from '#store/keys.ts'
import { createVerifications } from '#store/verifications.ts'
import { countSegments } from '#verification/message.ts'
import { createVault } from '#verification/vault.ts'
import type { SendReference } from '#verification/verification.ts'
import { createApp } from './app.ts'
import { DEFAULT_APPLICATION } from './caller.ts'
import { FORM_APPLICATION, readConfig } from './config.ts'

/** Slow senders of headers and bodies are cut off; what a request needs takes a fraction of it. */
const HEADERS_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
/** Each API tells the sweepers whom it serves, well before they would forget. */
const SEEN_EVERY_MS = 60_000

const { config, problems } = readConfig(process.env)
if (problems.length > 0) refuseToStart('api', problems)

const log = createLog({ program: 'api', level: config.logLevel })
const redis = connectForRequests(config.redisUrl, log)
// Not shared with the queue: BullMQ's scripts on a connection make every pipeline on it dearer by a fifth of a request.
const queueRedis = connectForQueue(config.redisUrl, log)
const parts = {
  redis,
  keys: createKeys(config.redisPrefix),
  policy: config.policy,
  vault: createVault(config),
  senders: config.senders,
}
const queue = createDeliveryQueue({ connection: queueRedis, prefix: config.redisPrefix })
const watch = watchRedis(redis, { production: config.production, log })
const deliveries = createDeliveries(parts)
const receipts = createReceipts({ deliveries, log })
let stopping = false

function enqueue(send: SendReference): void {
  queue.enqueue(send).catch((error: unknown) => {
    const { application, verification } = send
    log.warn({ application, verification, send: send.send, fault: faultName(error) }, 'left to the sweeper')
  })
}

async function seeApplications(): Promise<void> {
  const named = config.apiKeys.map(({ application }) => application)
  const applications = new Set([DEFAULT_APPLICATION, FORM_APPLICATION, ...named])
  try {
    await deliveries.seeApplications([...applications], Date.now())
  } catch (error) {
    log.debug({ fault: faultName(error) }, 'applications not announced')
  }
}
redis.on('ready', seeApplications)
const seeing = setInterval(seeApplications, SEEN_EVERY_MS)

const app = createApp({
  config,
  verifications: createVerifications({
    ...parts,
    countSegments: countSegments({ ...config.message, ttlMs: config.policy.codeTtlMs }),
  }),
  enqueue,
  takeReceipt: receipts.take,
  readiness: async () => (stopping ? 'stopping' : watch.problem()),
  log,
})
const server = await listen({
  program: 'api',
  variable: 'PORT',
  port: config.port,
  open: (onListening) =>
    serve(
      {
        fetch: app.fetch,
        hostname: config.host,
        port: config.port,
        serverOptions: { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
      },
      onListening,
    ),
})
log.info({ port: server.port }, 'api listening')

onShutdown({
  deadlineMs: config.shutdownDeadlineMs,
  log,
  async stop() {
    stopping = true
    clearInterval(seeing)
    const finished = await within(config.shutdownDeadlineMs, server.close())
    receipts.stop()
    await within(1_000, receipts.settled())
    await within(1_000, queue.close())
    redis.disconnect()
    queueRedis.disconnect()
    return finished
  },
})
