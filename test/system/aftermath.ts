/** What must be so after every fault, whatever it was: nothing lost, nothing sent or approved too often, nothing left. */
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { expect, vi } from 'vitest'
import { QUEUE_NAME, queuePrefix } from '#queue/delivery-queue.ts'
import { arrivalOf, type Known, type View } from '#test/chaos/history.ts'
import { endlessKeys } from '#test/chaos/keys.ts'
import { brokenPromises } from '#test/chaos/promises.ts'
import { numberEnding, type Service } from '#test/fixtures/service.ts'

export type Begun = { id: string; to: string }

/** A code may be approved before its worker has written down that it left; what Redis did not take is offered each second. */
const RECORDED_MS = 5_000

/** Starts a verification, which must be taken. */
export async function begin(service: Service, to: string): Promise<Begun> {
  const { status, body } = await service.start(to)
  expect(status).toBe(202)
  return { id: String(body.id), to }
}

/**
 * Asks for the codes as they arrived, then for every promise, and ends the programs: each must go in time. Of every
 * verification that was started, where none are named.
 */
export async function expectNothingBroken(
  service: Service,
  redisUrl: string,
  begun: readonly Begun[] = service.begun(),
) {
  const known: Known[] = []
  // A few at a time: this is no load test.
  for (let at = 0; at < begun.length; at += 10)
    known.push(...(await Promise.all(begun.slice(at, at + 10).map((one) => approve(service, one)))))
  const arrived = service.sandbox.messages().map(arrivalOf)
  expect(brokenPromises({ calls: [], known, arrived, stops: [] })).toEqual([])
  await expectBoundedKeys(service, redisUrl)
  await service.end()
}

/** Waits until the queue holds no job: whatever was still to be done has been done. */
export async function expectIdle(service: Service, redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl)
  try {
    const jobs = () => redis.keys(`${queuePrefix(service.prefix)}:${QUEUE_NAME}:s-*`)
    await vi.waitFor(async () => expect(await jobs()).toEqual([]), { timeout: 30_000, interval: 100 })
  } finally {
    redis.disconnect()
  }
}

/** The right code, twice at once; then a look at what became of it. */
async function approve(service: Service, { id, to }: Begun): Promise<Known> {
  const [code] = await service.arrived(to)
  const asked = { what: 'check' as const, askedAtMs: Date.now(), tookMs: 0 }
  const typed =
    code === undefined ? [] : await Promise.all([service.check(id, code), service.check(id, code)])
  const results = typed.map(({ body }) => String(body.result))
  const checks = results.map((result, at) => ({ call: asked, key: String(at), code: code ?? '', result }))
  const view = await vi.waitFor(() => lookOnceRecorded(service, id), { timeout: RECORDED_MS, interval: 100 })
  return { id, to, checks, ...(view.status === 200 ? { view: view.body as unknown as View } : {}) }
}

async function lookOnceRecorded(service: Service, id: string) {
  const view = await service.call('GET', `/v1/verifications/${id}`)
  expect([200, 404]).toContain(view.status)
  const sends = view.status === 200 ? (view.body as unknown as View).sends : []
  expect(sends.map(({ status }) => status)).not.toContain('submitting')
  return view
}

async function expectBoundedKeys(service: Service, redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl)
  try {
    await vi.waitFor(async () => expect(await endlessKeys(redis, service.prefix)).toEqual([]), 10_000)
  } finally {
    redis.disconnect()
  }
}

/** Starts one every so often, for a while; answers those that were taken. */
export async function beginMany(
  service: Service,
  pace: { everyMs: number; forMs: number },
): Promise<Begun[]> {
  const begun: Begun[] = []
  const startedAt = performance.now()
  for (let at = 0; at < pace.forMs; at += pace.everyMs) {
    await wait(Math.max(0, startedAt + at - performance.now()))
    const to = numberEnding()
    const { status, body } = await service.start(to)
    if (status === 202) begun.push({ id: String(body.id), to })
  }
  return begun
}

const RESTING = [
  'accepted',
  'delivered',
  'undelivered',
  'failed',
  'rejected',
  'expired',
  'canceled',
  'unknown',
]

/** Waits until every send of these has come to rest; one that is unknown may have a second message ahead of it. */
export async function atRest(service: Service, begun: readonly Begun[], timeout: number): Promise<void> {
  for (const { id } of begun) {
    await vi.waitFor(async () => expect(RESTING).toContain(await service.delivery(id)), {
      timeout,
      interval: 100,
    })
  }
}

/** Waits until a message has arrived for each; says what became of the sends of those for whom none has. */
export async function allArrived(service: Service, begun: readonly Begun[], timeout: number): Promise<void> {
  await vi.waitFor(async () => expect(await sendsOfNothing(service, begun)).toEqual([]), {
    timeout,
    interval: 100,
  })
}

function sendsOfNothing(service: Service, begun: readonly Begun[]): Promise<unknown[]> {
  const lacking = begun.filter(({ to }) => service.sandbox.messages(to).length === 0)
  return Promise.all(
    lacking.map(async ({ id }) => (await service.call('GET', `/v1/verifications/${id}`)).body.sends),
  )
}

/** Long faults are played at their full length by `npm run chaos -- --faults`, and shorter where only that differs. */
export const atFullLength = process.env.FAULTS_AT_FULL_LENGTH === 'on'
