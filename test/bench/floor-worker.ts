/** The floor a drained queue stands on: BullMQ's own worker as it comes, on the same jobs, doing nothing with them. */
import { createServer } from 'node:http'
import { type ConnectionOptions, Worker } from 'bullmq'
import { QUEUE_NAME, queuePrefix } from '#queue/delivery-queue.ts'
import { connectForQueue } from '#runtime/redis.ts'

const { REDIS_URL = '', REDIS_PREFIX = '', WORKER_CONCURRENCY, PORT } = process.env
const connection = connectForQueue(REDIS_URL, { debug() {}, info() {}, warn() {}, error() {} })
const worker = new Worker(QUEUE_NAME, async () => {}, {
  connection: connection as ConnectionOptions,
  prefix: queuePrefix(REDIS_PREFIX),
  concurrency: Number(WORKER_CONCURRENCY),
  // As ours, so that neither pays for what is kept.
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
  skipVersionCheck: true,
})
worker.on('error', () => {})
const health = createServer((_, answer) => answer.end('ready'))
health.listen(Number(PORT), '127.0.0.1')
process.on('SIGTERM', async () => {
  await worker.close()
  connection.disconnect()
  health.close()
})
