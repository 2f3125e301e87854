/** What must be so after every fault, whatever it was: nothing lost, nothing sent or approved too often, nothing left. */
import { Redis } from 'ioredis'
import { expect, vi } from 'vitest'
import type { Arrived, Known, View } from '#test/chaos/history.ts'
import { brokenPromises } from '#test/chaos/promises.ts'
import type { Service } from '#test/fixtures/service.ts'

/** What BullMQ keeps of an idle queue, and for ever: no job, nothing of ours, none of them growing. */
const QUEUE_KEEPS = /^\{[\w-]+:queue\}:deliveries:(meta|id|events|marker|stalled-check)$/

export type Begun = { id: string; to: string }

/** Starts a verification, which must be taken. */
export async function begin(service: Service, to: string): Promise<Begun> {
  const { status, body } = await service.start(to)
  expect(status).toBe(202)
  return { id: String(body.id), to }
}

/** Asks for the codes as they arrived, then for every promise, and ends the programs: each must go in time. */
export async function expectNothingBroken(service: Service, redisUrl: string, begun: readonly Begun[]) {
  const known = await Promise.all(begun.map((one) => approve(service, one)))
  const arrived: Arrived[] = service.sandbox
    .messages()
    .map(({ to, body, atMs, tags }) => ({ to, body, atMs, reference: tags[0] ?? '' }))
  expect(brokenPromises({ calls: [], known, arrived })).toEqual([])
  await expectBoundedKeys(service, redisUrl)
  await service.end()
}

/** The right code, twice at once; then a look at what became of it. */
async function approve(service: Service, { id, to }: Begun): Promise<Known> {
  const [code] = await service.arrived(to)
  const asked = { what: 'check' as const, askedAtMs: Date.now(), tookMs: 0 }
  const typed =
    code === undefined ? [] : await Promise.all([service.check(id, code), service.check(id, code)])
  const results = typed.map(({ body }) => String(body.result))
  const checks = results.map((result, at) => ({ call: asked, key: String(at), code: code ?? '', result }))
  const view = await service.call('GET', `/v1/verifications/${id}`)
  return { id, to, checks, ...(view.status === 200 ? { view: view.body as unknown as View } : {}) }
}

export async function expectBoundedKeys(service: Service, redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl)
  try {
    await vi.waitFor(async () => expect(await endlessKeys(redis, service.prefix)).toEqual([]), 10_000)
  } finally {
    redis.disconnect()
  }
}

/** Keys that would stay for ever, but for the few that an idle queue keeps. */
async function endlessKeys(redis: Redis, prefix: string): Promise<string[]> {
  const keys = await redis.keys(`{${prefix}*`)
  const ttls = await Promise.all(keys.map((key) => redis.pttl(key)))
  return keys.filter((key, at) => ttls[at] === -1 && !QUEUE_KEEPS.test(key))
}
