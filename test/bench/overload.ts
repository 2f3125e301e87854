/**
 * Twice as many codes are asked for as a number can send, for five lives of a code: what its capacity goes to, and what
 * everybody else is told. Real scripts, real queue, two workers; the provider answers after a tenth of a second. Times
 * are a tenth of what they are by default and the rate is ten times that of a 10DLC number.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Message, Provider } from '#providers/provider.ts'
import { createDeliveryQueue } from '#queue/delivery-queue.ts'
import { createReader } from '#runtime/env.ts'
import { connectForQueue, connectForRequests } from '#runtime/redis.ts'
import { readSettings } from '#runtime/settings.ts'
import { createDeliveries } from '#store/deliveries.ts'
import { createKeys } from '#store/keys.ts'
import { createVerifications } from '#store/verifications.ts'
import type { Outcome } from '#verification/outcome.ts'
import { DEFAULT_POLICY, type Policy } from '#verification/policy.ts'
import type { Sender } from '#verification/sender.ts'
import { newTagKey } from '#verification/tag-key.ts'
import { createTags } from '#verification/tags.ts'
import { createVault } from '#verification/vault.ts'
import {
  type Application,
  DEFAULT_PURPOSE,
  formatReference,
  type SendReference,
} from '#verification/verification.ts'
import { createDeliver } from '#worker/deliver.ts'
import { createProcessor, startQueueWorker } from '#worker/processor.ts'
import { createSweeper } from '#worker/sweeper.ts'
import { destinationOf, nextNumber } from './material.ts'
import { percentile, printLine } from './report.ts'
import type { BenchContext } from './requests.ts'

const SCALE = 10
const LIVES = 5
const LOAD = 2
const WORKERS = 2
const LATENCY_MS = 100
const STEP_MS = 50
const APPLICATION = 'default' as Application
const SENDER: Sender = { number: '+12025550199', kind: '10dlc', perSecond: 4 * SCALE }
const POLICY: Policy = {
  ...DEFAULT_POLICY,
  rules: [],
  codeTtlMs: DEFAULT_POLICY.codeTtlMs / SCALE,
  sendReserveMs: DEFAULT_POLICY.sendReserveMs / SCALE,
  turnLongestMs: DEFAULT_POLICY.turnLongestMs / SCALE,
}
const quiet = { debug() {}, info() {}, warn() {}, error() {} }

type Sent = { reference: string; atMs: number; leftMs: number }

/** When each send was handed over, by its reference. */
function recordingProvider() {
  const handedOver: { reference: string; atMs: number }[] = []
  const provider: Provider = {
    name: 'scripted',
    channels: ['sms'],
    status: () => 'ready',
    canSend: () => true,
    close: async () => {},
    async send({ reference }: Message): Promise<Outcome> {
      handedOver.push({ reference, atMs: Date.now() })
      await wait(LATENCY_MS)
      return { kind: 'accepted', messageId: reference }
    },
  }
  return { provider, handedOver }
}

/** The service as its programs put it together, in this process; a start is an API's, without HTTP. */
function startWhole(redisUrl: string, redis: Redis) {
  const prefix = 'overload'
  const keys = createKeys(prefix)
  // All of it runs in this process.
  const tags = createTags(newTagKey())
  const parts = {
    keys,
    policy: POLICY,
    vault: createVault({ ...readSettings(createReader({})), tags: () => tags }),
    senders: [SENDER],
  }
  const expiresAtMs = new Map<string, number>()
  const { provider, handedOver } = recordingProvider()
  const verifications = createVerifications({ redis, ...parts, countSegments: () => 1 })
  const connection = connectForQueue(redisUrl, quiet)
  const queue = createDeliveryQueue({ connection, prefix })

  const stops = Array.from({ length: WORKERS }, () => {
    const own = connectForRequests(redisUrl, quiet)
    const deliveries = createDeliveries({ redis: own, ...parts })
    const message = { brand: 'Example', domain: undefined, appHash: undefined, segmentsMax: 1 }
    const deliver = createDeliver({
      deliveries,
      provider,
      policy: POLICY,
      objectionTo: () => undefined,
      message,
      log: quiet,
      random: Math.random,
      moment: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
    })
    const processor = createProcessor({
      deliver,
      isOpen: () => true,
      log: quiet,
      signal: new AbortController().signal,
    })
    const queueConnection = connectForQueue(redisUrl, quiet)
    const worker = startQueueWorker({
      connection: queueConnection,
      prefix,
      concurrency: 50,
      processor,
      log: quiet,
    })
    const sweeper = createSweeper({ deliveries, queue, log: quiet })
    sweeper.start()
    return async () => {
      await sweeper.stop()
      await worker.close()
      own.disconnect()
      queueConnection.disconnect()
    }
  })

  return {
    sent: (): Sent[] =>
      handedOver.map(({ reference, atMs }) => ({
        reference,
        atMs,
        leftMs: (expiresAtMs.get(reference) ?? 0) - atMs,
      })),
    seeApplication: () => createDeliveries({ redis, ...parts }).seeApplications([APPLICATION], Date.now()),
    async start(): Promise<SendReference | 'refused'> {
      const started = await verifications.start({
        application: APPLICATION,
        destination: destinationOf(nextNumber()),
        region: 'US',
        purpose: DEFAULT_PURPOSE,
        channel: 'sms',
        locale: 'en',
      })
      if (started.kind === 'refused') {
        const told = started.refusal === 'delivery_backlog' && (started.retryAfterMs ?? 0) > 0
        if (!told) throw new Error(`refused: ${started.refusal}`)
        return 'refused'
      }
      const send = { application: APPLICATION, verification: started.id, send: started.send }
      expiresAtMs.set(formatReference(send), started.expiresAtMs)
      await queue.enqueue(send)
      return send
    },
    stateOf: ({ verification }: SendReference) =>
      redis.hmget(keys.verification(APPLICATION, verification), '1:state', '1:reason'),
    async stop() {
      await Promise.all(stops.map((stop) => stop()))
      await queue.close()
      connection.disconnect()
    },
  }
}

export async function benchOverload({ redisUrl, redis }: BenchContext): Promise<boolean[]> {
  const seconds = (LIVES * POLICY.codeTtlMs) / 1_000
  console.log(`\n${LOAD} times the ${SENDER.perSecond} segments a second of a number, for ${seconds} s`)
  const whole = startWhole(redisUrl, redis)
  await whole.seeApplication()
  const beganAtMs = Date.now()
  const endsAtMs = beganAtMs + seconds * 1_000
  const starts: Promise<SendReference | 'refused'>[] = []
  try {
    for (let now = beganAtMs; now < endsAtMs; now = Date.now()) {
      const due = ((now - beganAtMs) / 1_000) * SENDER.perSecond * LOAD
      while (starts.length < due) starts.push(whole.start())
      await wait(STEP_MS)
    }
    const results = await Promise.all(starts)
    const taken = results.filter((result) => result !== 'refused')
    await wait(POLICY.codeTtlMs)
    return report({
      seconds,
      endsAtMs,
      asked: results.length,
      taken: taken.length,
      sent: whole.sent(),
      states: await Promise.all(taken.map(whole.stateOf)),
    })
  } finally {
    await whole.stop()
  }
}

function report(storm: {
  seconds: number
  endsAtMs: number
  asked: number
  taken: number
  sent: readonly Sent[]
  states: (string | null)[][]
}): boolean[] {
  const sends = new Set(storm.sent.map(({ reference }) => reference)).size
  const useful = storm.sent.filter(
    ({ atMs, leftMs }) => atMs < storm.endsAtMs && leftMs >= POLICY.sendReserveMs,
  ).length
  const expired = storm.states.filter(([, reason]) => reason === 'not_sent_in_time').length
  const untold = storm.taken - sends - expired
  const ages = storm.sent.map(({ leftMs }) => POLICY.codeTtlMs - leftMs)
  printLine('asked for', storm.asked, 'codes')
  printLine('refused with a time to wait', storm.asked - storm.taken, 'codes')
  printLine('ended as expired, unsent', expired, 'codes')
  printLine('wait of those sent, p50', percentile(ages, 0.5), 'ms')
  printLine('wait of those sent, p90', percentile(ages, 0.9), 'ms')
  printLine('most that left within a second', mostWithinASecond(storm.sent), 'messages')
  const left = POLICY.sendReserveMs / 1_000
  const capacity = storm.seconds * SENDER.perSecond
  return [
    printLine(`capacity that went to codes with ${left} s to live`, useful / capacity, '×', {
      atLeast: 0.95,
    }),
    printLine('sent late', storm.sent.filter(({ leftMs }) => leftMs < POLICY.sendReserveMs).length, 'codes', {
      atMost: 0,
    }),
    printLine('sent twice', storm.sent.length - sends, 'codes', { atMost: 0 }),
    printLine('neither sent nor told', untold, 'codes', { atMost: 0 }),
  ]
}

function mostWithinASecond(messages: readonly Sent[]): number {
  const times = messages.map(({ atMs }) => atMs).sort((a, b) => a - b)
  let first = 0
  let most = 0
  for (const [index, time] of times.entries()) {
    while ((times[first] ?? time) <= time - 1_000) first += 1
    most = Math.max(most, index - first + 1)
  }
  return most
}
