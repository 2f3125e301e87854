/** Events out of the outbox, through BullMQ, to a receiver: nothing lost, each by one id, nothing held up, stops in time. */
import type { ServerResponse } from 'node:http'
import { Queue } from 'bullmq'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { queuePrefix } from '#queue/delivery-queue.ts'
import { createEventQueue, parseEventJob } from '#queue/event-queue.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { connectForQueue } from '#runtime/redis.ts'
import { createOutbox } from '#store/outbox.ts'
import { StoreFault } from '#store/script.ts'
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
  const store = storeOn(connection.redis, { events: EVENT_TYPES, rules: [] })
  const outbox = createOutbox(store)
  const lines: (LogFields & { msg: string })[] = []
  const errors: string[] = []
  const keep = (fields: LogFields, msg: string) => void lines.push({ ...fields, msg })
  const keepError = (fields: LogFields, msg: string) => {
    keep(fields, msg)
    errors.push(msg)
  }
  const log: Log = { debug: keep, info: keep, warn: keep, error: keepError }
  const redis = await queueConnection()
  const queue = createEventQueue({ connection: redis, prefix: store.prefix })
  const jobs = new Queue('events', { connection: redis, prefix: queuePrefix(store.prefix) })
  const mover = (more: Partial<Parameters<typeof createEventMover>[0]> = {}) =>
    createEventMover({ outbox, queue, log, now: Date.now, ...more })
  const eventsOut = async (url: URL, more: Partial<typeof outbox> = {}) => {
    const webhook = { url, secrets, allowPrivate: true, concurrency: 10 }
    const out = createEventsOut({
      webhook,
      connection: await queueConnection(),
      prefix: store.prefix,
      outbox: { ...outbox, ...more },
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
    errors,
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

describe('an outbox that is full', () => {
  /** What the mover says when it finds so many there, at such times. */
  async function saidOf(found: readonly (readonly [atMs: number, waiting: number])[]) {
    const d = await deployment()
    let [at, waiting] = [0, 0]
    const outbox = {
      take: async () => ({ kind: 'taken' as const, waiting, entries: [] }),
      remove: async () => {},
    }
    const mover = d.mover({ outbox, now: () => at })
    for ([at, waiting] of found) await mover.step()
    return d.lines.map(({ msg, count }) => `${d.errors.includes(msg) ? 'error ' : ''}${msg} (${count})`)
  }
  const full = 'error the outbox is full: events are lost (100000)'
  const MINUTE = 60_000

  it.each([
    ['nearly', [[0, 99_999]], []],
    ['at its brim', [[0, 100_000]], [full]],
  ] as const)('is said to be so: %s', async (_, found, lines) => {
    expect(await saidOf(found)).toEqual(lines)
  })

  it('is said to be so once in ten minutes, however often it is looked at', async () => {
    const found = Array.from({ length: 2_400 }, (_, index) => [index * 500, 100_000] as const)
    expect(await saidOf(found)).toEqual([full, full])
  })

  it('is said to have room again once, when it has some, and at once when it is empty', async () => {
    expect(
      await saidOf([
        [0, 100_000],
        [1, 99_999],
        [2, 90_000],
        [3, 89_999],
        [4, 0],
      ]),
    ).toEqual([full, 'the outbox has room again (89999)'])
    expect(
      await saidOf([
        [0, 100_000],
        [1, 0],
      ]),
    ).toEqual([full, 'the outbox has room again (0)'])
  })

  it('and not full in turn says no more than that', async () => {
    const found = Array.from({ length: 1_000 }, (_, index) => [index * 500, index % 2 ? 0 : 100_000] as const)
    expect(await saidOf(found)).toEqual([full, 'the outbox has room again (0)'])
    expect(
      await saidOf([
        [0, 100_000],
        [MINUTE, 0],
        [2 * MINUTE, 100_000],
        [10 * MINUTE, 100_000],
      ]),
    ).toEqual([full, 'the outbox has room again (0)', full])
  })
})

describe('the mover, over what is broken', () => {
  it.each([
    [new TypeError('a mistake'), ['events put off']],
    [new StoreFault('Redis is away'), []],
  ])('(%s) says %j at error, once, and goes on', async (error, errors) => {
    const d = await deployment()
    let takes = 0
    const take = () => {
      takes += 1
      return takes > 2 ? d.outbox.take('another', 1) : Promise.reject(error)
    }
    await d.happen()
    const mover = d.mover({ outbox: { ...d.outbox, take } })
    mover.start()
    onTestFinished(() => mover.stop())
    await vi.waitFor(async () => expect(await d.inQueue()).toBe(1), { timeout: 5_000 })
    expect(d.errors).toEqual(errors)
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

  it('that is back is told what waited and what is new, each once, ten at a time', async () => {
    const d = await deployment()
    const waited = 60
    let [inHand, most] = [0, 0]
    const slow = (response: ServerResponse) => {
      inHand += 1
      most = Math.max(most, inHand)
      setImmediate(() => {
        inHand -= 1
        response.writeHead(204).end()
      })
    }
    const { url, received, answers } = await receiver(Array.from({ length: waited }, () => 503))
    await d.eventsOut(url)
    await d.happen(waited)
    await eventually(async () => expect(await d.jobs.getDelayedCount()).toBe(waited))
    const before = received.splice(0).map(({ headers }) => headers['webhook-id'])
    answers.push(...Array.from({ length: waited + 1 }, () => slow))
    await d.jobs.promoteJobs()
    await d.happen()
    await eventually(() => expect(received).toHaveLength(waited + 1))
    const ids = received.map(({ headers }) => headers['webhook-id'])
    expect(new Set(ids).size).toBe(waited + 1)
    expect(ids).toEqual(expect.arrayContaining(before))
    expect(most).toBeLessThanOrEqual(10)
    await eventually(async () => expect([await d.inOutbox(), await d.inQueue()]).toEqual([0, 0]))
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

  it.each([
    [new TypeError('a mistake about +12025550123'), ['telling an event was put off']],
    [new StoreFault('Redis is away'), []],
  ])('is told again what a fault of ours (%s) kept from it; said at error: %j', async (fault, errors) => {
    const d = await deployment()
    const { url, received } = await receiver()
    let asked = 0
    await d.eventsOut(url, {
      isGone: (name) => {
        asked += 1
        return asked <= 2 ? Promise.reject(fault) : d.outbox.isGone(name)
      },
    })
    await d.happen()
    for (const times of [1, 2])
      await eventually(async () => {
        expect(asked).toBe(times)
        const [job] = await d.jobs.getJobs(['delayed'])
        expect(job).toBeDefined()
        await job?.promote()
      })
    await eventually(() => expect(received).toHaveLength(1))
    expect(d.errors).toEqual(errors)
    expect(JSON.stringify(d.lines)).not.toContain('+12025550123')
  })

  it('is not told what a fault of ours kept from it for more than a day, which is said once', async () => {
    const d = await deployment()
    const { url, received } = await receiver()
    await d.happen()
    await d.mover().step()
    const [job] = await d.jobs.getJobs(['waiting'])
    const { attempts = 0, backoff } = job?.opts ?? {}
    const delay = typeof backoff === 'object' ? (backoff.delay ?? 0) : 0
    expect(attempts * delay).toBeGreaterThan(DAY)
    // All tries but one are over.
    const key = `${queuePrefix(d.prefix)}:events:${job?.id}`
    await connection.redis.hset(key, 'atm', attempts - 1)
    await d.eventsOut(url, { isGone: () => Promise.reject(new TypeError('a mistake')) })
    await eventually(() => expect(d.errors).toEqual(['event given up']))
    expect(d.lines.at(-1)).toMatchObject({ event_id: job?.id, fault: 'TypeError' })
    await eventually(async () => expect(await connection.redis.exists(key)).toBe(0))
    expect(received).toEqual([])
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
