/** Events out of the outbox, through BullMQ, to a receiver: nothing lost, each by one id, nothing held up, stops in time. */
import { Queue } from 'bullmq'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { queuePrefix } from '#queue/delivery-queue.ts'
import { createEventQueue, parseEventJob } from '#queue/event-queue.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { connectForQueue } from '#runtime/redis.ts'
import { createOutbox } from '#store/outbox.ts'
import { receiver, SECRET } from '#test/fixtures/receiver.ts'
import { silentLog, testRedisUrl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import { EVENT_TYPES } from '#verification/event.ts'
import { parseSecret } from '#webhooks/signature.ts'
import { createEventMover } from '#worker/event-mover.ts'
import { createEventsOut } from '#worker/events.ts'

const connection = useRedis()
const secret = parseSecret(SECRET)
if (!secret) throw new Error('no secret')
const secrets = [secret]
const DAY = 24 * 3_600_000

async function queueConnection() {
  const redis = connectForQueue(testRedisUrl(), silentLog)
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()))
  onTestFinished(() => redis.disconnect())
  return redis
}

async function deployment() {
  const store = storeOn(connection.redis, { events: EVENT_TYPES })
  const outbox = createOutbox(store)
  const lines: (LogFields & { msg: string })[] = []
  const keep = (fields: LogFields, msg: string) => void lines.push({ ...fields, msg })
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep }
  const redis = await queueConnection()
  const queue = createEventQueue({ connection: redis, prefix: store.prefix })
  const jobs = new Queue('events', { connection: redis, prefix: queuePrefix(store.prefix) })
  const mover = (more: Partial<Parameters<typeof createEventMover>[0]> = {}) =>
    createEventMover({ outbox, queue, log, now: Date.now, ...more })
  const eventsOut = async (url: URL, more = {}) => {
    const webhook = { url, secrets, allowPrivate: true, concurrency: 10, ...more }
    const out = createEventsOut({
      webhook,
      connection: await queueConnection(),
      prefix: store.prefix,
      outbox,
      log,
    })
    out.start()
    onTestFinished(() => out.stop(0))
    return out
  }
  return {
    ...store,
    outbox,
    lines,
    queue,
    jobs,
    mover,
    eventsOut,
    happen: async (times = 1) => {
      for (let time = 0; time < times; time += 1) await store.start(freshDestination())
    },
    inOutbox: () => connection.redis.xlen(store.keys.outbox()),
    inQueue: () => queue.backlog(),
  }
}

describe('the mover', () => {
  it('moves what lies in the outbox to the queue, and rests', async () => {
    const d = await deployment()
    await d.happen(3)
    const mover = d.mover()
    expect(await mover.step()).toBe('rest')
    expect([await d.inOutbox(), await d.inQueue()]).toEqual([0, 3])
    expect(await mover.step()).toBe('rest')
  })

  it.each([
    [99, 'rest'],
    [100, 'more'],
    [101, 'more'],
  ])('of %i events says that there is %s', async (count, next) => {
    const d = await deployment()
    await d.happen(1)
    const [[, entry] = ['', []]] = await connection.redis.xrange(d.keys.outbox(), '-', '+')
    const copies = connection.redis.pipeline()
    for (let copy = 1; copy < count; copy += 1) copies.xadd(d.keys.outbox(), '*', ...entry)
    await copies.exec()
    expect(await d.mover().step()).toBe(next)
    expect(await d.inQueue()).toBe(Math.min(count, 100))
  })

  it('that dies before the queue has the events leaves them to the next', async () => {
    const d = await deployment()
    await d.happen(2)
    const dies = d.mover({ queue: { ...d.queue, add: () => Promise.reject(new Error('died')) } })
    await expect(dies.step()).rejects.toThrow('died')
    expect(await d.inOutbox()).toBe(2)
    expect(await d.mover().step()).toBe('rest')
    expect(await d.inQueue()).toBe(0)
    // Its lease runs out.
    await connection.redis.del(d.keys.outboxLease())
    await d.mover().step()
    expect([await d.inOutbox(), await d.inQueue()]).toEqual([0, 2])
  })

  it('that dies after the queue has them moves them twice, and there is one job each', async () => {
    const d = await deployment()
    await d.happen(2)
    const dies = d.mover({ outbox: { ...d.outbox, remove: () => Promise.reject(new Error('died')) } })
    await expect(dies.step()).rejects.toThrow('died')
    expect([await d.inOutbox(), await d.inQueue()]).toEqual([2, 2])
    await connection.redis.del(d.keys.outboxLease())
    await d.mover().step()
    expect([await d.inOutbox(), await d.inQueue()]).toEqual([0, 2])
  })

  it.each([
    [DAY - 1_000, 1],
    [DAY + 1_000, 0],
  ])('of an event that is %i ms old moves %i', async (ageMs, moved) => {
    const d = await deployment()
    await d.happen()
    await d.mover({ now: () => Date.now() + ageMs }).step()
    expect([await d.inOutbox(), await d.inQueue()]).toEqual([0, moved])
    expect(d.lines.map(({ msg }) => msg)).toEqual(moved ? [] : ['events dropped'])
  })

  it('drops what nobody can read, says so, and moves the rest', async () => {
    const d = await deployment()
    await connection.redis.xadd(d.keys.outbox(), '*', 'type', 'verification.stolen')
    await d.happen()
    await d.mover().step()
    expect([await d.inOutbox(), await d.inQueue()]).toEqual([0, 1])
    expect(d.lines).toEqual([{ msg: 'events dropped', reason: 'unreadable_event', count: 1 }])
  })

  it.each([
    [99_999, 1],
    [100_000, 0],
  ])('behind a queue of %i leaves events where they are: %i moved', async (backlog, moved) => {
    const d = await deployment()
    await d.happen()
    await d.mover({ queue: { ...d.queue, backlog: async () => backlog } }).step()
    expect([await d.inOutbox(), await d.inQueue()]).toEqual([1 - moved, moved])
  })
})

describe('a job', () => {
  it('holds the event and nothing else; its id is the event’s', async () => {
    const d = await deployment()
    await d.happen()
    const taken = await d.outbox.take('test', 1)
    const told = taken.kind === 'taken' ? taken.entries[0]?.told : undefined
    await connection.redis.del(d.keys.outboxLease())
    await d.mover().step()
    const [job] = await d.jobs.getJobs(['waiting'])
    expect(job?.id).toBe(told?.id)
    expect(parseEventJob(job?.data)).toEqual(told?.event)
  })

  it.each([
    ['nothing', undefined],
    ['an object', {}],
    ['no JSON', '{'],
    ['null', 'null'],
    ['a strange type', '{"type":"x","timestamp":"2026-11-24T09:30:00.000Z","data":{}}'],
    ['no time', '{"type":"send.accepted","timestamp":"soon","data":{}}'],
    ['no data', '{"type":"send.accepted","timestamp":"2026-11-24T09:30:00.000Z"}'],
  ])('of %s is not taken for one of ours', (_, data) => {
    expect(parseEventJob(data)).toBeUndefined()
  })
})

describe('a receiver', () => {
  const eventually = <T>(read: () => T | Promise<T>) => vi.waitFor(read, { timeout: 10_000, interval: 20 })

  it('is told each event once, signed, under its own id, and nothing is left behind', async () => {
    const d = await deployment()
    const { url, received } = await receiver()
    await d.eventsOut(url)
    await d.happen(3)
    await eventually(() => expect(received).toHaveLength(3))
    for (const { headers, body } of received)
      expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
        type: 'verification.started',
      })
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(3)
    await eventually(async () => expect([await d.inOutbox(), await d.inQueue()]).toEqual([0, 0]))
    expect(await d.jobs.getJobCounts('completed', 'failed')).toEqual({ completed: 0, failed: 0 })
  })

  it('that refuses is told the same again, under the same id and a new signature', async () => {
    const d = await deployment()
    const { url, received } = await receiver([500, 503])
    await d.eventsOut(url)
    await d.happen()
    for (const tries of [1, 2]) {
      await eventually(() => expect(received).toHaveLength(tries))
      await eventually(async () => {
        const [job] = await d.jobs.getJobs(['delayed'])
        // Not to wait for it: what is delayed is due now.
        await job?.promote()
        expect(job).toBeDefined()
      })
    }
    await eventually(() => expect(received).toHaveLength(3))
    const [first, second, third] = received
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(second?.body).toBe(first?.body)
    expect(third?.body).toBe(first?.body)
    const tries = d.lines.filter(({ event }) => event).map(({ msg, attempt }) => `${msg} ${attempt}`)
    expect(tries).toEqual(['event not taken 1', 'event not taken 2', 'event taken 3'])
  })

  it('that refuses leaves neither a reason nor a stack in its job', async () => {
    const d = await deployment()
    const { url, received } = await receiver([500])
    await d.eventsOut(url)
    await d.happen()
    await eventually(() => expect(received).toHaveLength(1))
    await eventually(async () => {
      const [job] = await d.jobs.getJobs(['delayed'])
      expect(job).toBeDefined()
      expect([job?.failedReason, job?.stacktrace]).toEqual([undefined, []])
    })
  })

  it('that wants no more is told no more, and what still comes is dropped', async () => {
    const d = await deployment()
    const { url, received } = await receiver([410])
    await d.eventsOut(url)
    await d.happen()
    await eventually(() => expect(d.lines.at(-1)?.msg).toBe('the receiver wants no more events'))
    await d.happen(2)
    await eventually(() => expect(d.lines.filter(({ msg }) => msg === 'event dropped')).toHaveLength(2))
    expect(received).toHaveLength(1)
    expect(await d.inQueue()).toBe(0)
  })

  it('that hangs does not keep a worker from stopping in time, and its event is left to the next', async () => {
    const d = await deployment()
    const { url, received } = await receiver([() => {}])
    const out = await d.eventsOut(url)
    await d.happen()
    await eventually(() => expect(received).toHaveLength(1))
    const startedAt = performance.now()
    await out.stop(100)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    await d.eventsOut(url)
    await eventually(() => expect(received).toHaveLength(2))
    expect(received[1]?.headers['webhook-id']).toBe(received[0]?.headers['webhook-id'])
  })

  it('is told of whole sends without a code or a number: outbox, jobs, requests, log', async () => {
    const d = await deployment()
    const { url, received } = await receiver()
    const destination = freshDestination()
    const { id } = await d.start(destination)
    const code = await d.codeFor(id)
    const send = { application: APPLICATION, verification: id, send: 1 }
    await d.deliveries.claim(send, 'one')
    await d.deliveries.record(send, {
      token: 'one',
      outcome: { kind: 'accepted', messageId: 'm-1' },
      waitMs: 0,
    })
    await d.deliveries.takeReceipt(send, { messageId: 'm-1', state: 'undelivered', reason: 'no route' })
    await d.check(id, code)
    const outbox = JSON.stringify(await connection.redis.xrange(d.keys.outbox(), '-', '+'))
    await d.mover().step()
    const jobs = JSON.stringify((await d.jobs.getJobs(['waiting'])).map((job) => job.toJSON()))
    await connection.redis.del(d.keys.outboxLease())
    await d.eventsOut(url)
    await eventually(() => expect(received).toHaveLength(4))
    await eventually(() => expect(d.lines.filter(({ msg }) => msg === 'event taken')).toHaveLength(4))
    const said = [outbox, jobs, JSON.stringify(received.map(({ body }) => body)), JSON.stringify(d.lines)]
    const hex = /[0-9a-f]{32}/g
    for (const text of said) {
      expect(text).toContain(`+*******${destination.slice(-4)}`)
      const plain = text.replace(hex, 'ID').replace(/\b1[78]\d{11}\b/g, 'TIME')
      expect(plain).not.toContain(code)
      expect(plain).not.toContain(destination.slice(1))
    }
  })
})
