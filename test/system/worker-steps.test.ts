/**
 * A worker killed or frozen between each two of its steps, another one beside it: claim, message, record, and the end
 * of the job. Real processes, the real SDK; the moment is caught on the way to Redis (P4 to P7).
 */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import type { OwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Service } from '#test/fixtures/service.ts'
import { begin, expectNothingBroken } from './aftermath.ts'
import { stage } from './stage.ts'

/** Lock and stall check of the queue together: what is promised for the job of a worker that died. */
const RERUN_MS = 20_000
/** And for its message, where one may have left: the wait for a receipt comes on top. */
const SECOND_MS = RERUN_MS + 10_000
/** A machine under load is late itself. */
const SLACK_MS = 3_000
const LEASE_MS = 13_000

/** The job of a worker that was overtaken is not its own any more: it says so, in one of these ways. */
const DEALT_WITH = /attempt overtaken|a job failed|the queue reported an error/

const messagesTo = async (service: Service, to: string, count: number, timeout: number) =>
  vi.waitFor(async () => expect(await service.arrived(to)).toHaveLength(count), { timeout, interval: 50 })

const rests = (service: Service, id: string, state: string, timeout: number) =>
  vi.waitFor(async () => expect(await service.delivery(id)).toBe(state), { timeout, interval: 50 })

async function lastSend(service: Service, id: string) {
  const { body } = await service.call('GET', `/v1/verifications/${id}`)
  const [send] = body.sends as unknown as { possible_duplicate: boolean; timeline: { outcome: string }[] }[]
  return send
}

describe.concurrent('a worker killed', () => {
  it('before it claims: another one sends once, within twenty seconds', {
    timeout: 90_000,
  }, async (context) => {
    const { redis, tap, service, victim } = await stage(context)
    const to = numberEnding()
    const caught = tap.catch('claim', 'asked')
    const begun = await begin(service, to)
    await caught
    // Before it dials Redis anew, which it does after five seconds without a word.
    victim.kill('SIGSTOP')
    const next = await service.startWorker()
    await next.ready()
    victim.kill('SIGKILL')
    const killedAt = performance.now()
    await messagesTo(service, to, 1, RERUN_MS + SLACK_MS)
    expect(performance.now() - killedAt).toBeLessThan(RERUN_MS + SLACK_MS)
    await rests(service, begun.id, 'delivered', 5_000)
    expect(await lastSend(service, begun.id)).toMatchObject({
      possible_duplicate: false,
      timeline: [{ outcome: 'accepted' }],
    })
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('between claim and message: another one sends once, and says that there may have been one before', {
    timeout: 90_000,
  }, async (context) => {
    const { redis, tap, service, victim } = await stage(context)
    const to = numberEnding()
    const caught = tap.catch('claim', 'answered')
    const begun = await begin(service, to)
    await caught
    await rests(service, begun.id, 'submitting', 5_000)
    victim.kill('SIGKILL')
    const killedAt = performance.now()
    await service.startWorker()
    await messagesTo(service, to, 1, SECOND_MS + SLACK_MS)
    expect(performance.now() - killedAt).toBeLessThan(SECOND_MS + SLACK_MS)
    await rests(service, begun.id, 'delivered', 5_000)
    expect(await lastSend(service, begun.id)).toMatchObject({
      possible_duplicate: true,
      timeline: [{ outcome: 'unknown', reason: 'worker_lost' }, { outcome: 'accepted' }],
    })
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('after the message left: one more at most, with the same code', { timeout: 90_000 }, async (context) => {
    const { redis, service, victim } = await stage(context)
    service.sandbox.setLatency(3_000)
    const to = numberEnding('0111')
    const begun = await begin(service, to)
    await messagesTo(service, to, 1, 5_000)
    victim.kill('SIGKILL')
    service.sandbox.setLatency(0)
    await service.startWorker()
    await messagesTo(service, to, 2, SECOND_MS + SLACK_MS)
    await rests(service, begun.id, 'accepted', 5_000)
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('after the message left, whose receipt comes before the second could: it is not sent again', {
    timeout: 90_000,
  }, async (context) => {
    // The one receipt of 0107 comes 21 s after its message: when the job has run again, and the wait is not over.
    const { redis, tap, service, victim } = await stage(context, {}, { pace: 4.2 })
    const to = numberEnding('0107')
    const caught = tap.catch('record', 'asked')
    const begun = await begin(service, to)
    await caught
    victim.kill('SIGKILL')
    // What comes before it is told to nobody; a worker that starts within a second would hear it.
    await vi.waitFor(() => expect(service.sandbox.messages(to)).toMatchObject([{ state: 'sent' }]), 5_000)
    await service.startWorker()
    await rests(service, begun.id, 'unknown', RERUN_MS + SLACK_MS)
    await rests(service, begun.id, 'delivered', 10_000)
    await vi.waitFor(async () => expect(await jobKeys(redis, service)).toBe('0'), SECOND_MS)
    expect(await service.arrived(to)).toHaveLength(1)
    expect(await lastSend(service, begun.id)).toMatchObject({ possible_duplicate: false })
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('after the provider accepted and before that is recorded: one more at most, with the same code', {
    timeout: 90_000,
  }, async (context) => {
    const { redis, tap, service, victim } = await stage(context)
    const to = numberEnding('0111')
    const caught = tap.catch('record', 'asked')
    const begun = await begin(service, to)
    await caught
    expect(await service.arrived(to)).toHaveLength(1)
    victim.kill('SIGKILL')
    await service.startWorker()
    await messagesTo(service, to, 2, SECOND_MS + SLACK_MS)
    await rests(service, begun.id, 'accepted', 5_000)
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('between record and the end of the job: nothing more is sent, and the job goes', {
    timeout: 90_000,
  }, async (context) => {
    const { redis, tap, service, victim } = await stage(context)
    const to = numberEnding()
    const caught = tap.catch('finished', 'asked')
    const begun = await begin(service, to)
    await caught
    await rests(service, begun.id, 'delivered', 5_000)
    victim.kill('SIGKILL')
    await service.startWorker()
    // The keys of its job are gone once another worker has ended it.
    await vi.waitFor(async () => expect(await jobKeys(redis, service)).toBe('0'), RERUN_MS + SLACK_MS)
    expect(await service.arrived(to)).toHaveLength(1)
    await expectNothingBroken(service, redis.url, [begun])
  })
})

/** How many jobs there are, in whatever state. */
async function jobKeys(redis: OwnRedis, service: Service): Promise<string | undefined> {
  const script = `return #redis.call('KEYS', '{${service.prefix}:queue}:deliveries:s-*')`
  return redis.ask(`EVAL "${script}" 0`)
}

describe.concurrent('a worker frozen right after its claim', () => {
  it('for less than its lease gives the send back when it wakes, and it goes out once', {
    timeout: 90_000,
  }, async (context) => {
    const { redis, tap, service, victim } = await stage(context)
    const to = numberEnding()
    const caught = tap.catch('claim', 'answered')
    const begun = await begin(service, to)
    const claim = await caught
    victim.kill('SIGSTOP')
    claim.release()
    await wait(LEASE_MS / 2)
    expect(await service.arrived(to)).toEqual([])
    victim.kill('SIGCONT')
    await messagesTo(service, to, 1, RERUN_MS + SLACK_MS)
    await rests(service, begun.id, 'delivered', 5_000)
    await expectNothingBroken(service, redis.url, [begun])
  })

  it('until another one has sent sends nothing when it wakes with its stale lease', {
    timeout: 90_000,
  }, async (context) => {
    const { redis, tap, service, victim } = await stage(context)
    const to = numberEnding('0111')
    const caught = tap.catch('claim', 'answered')
    const begun = await begin(service, to)
    const claim = await caught
    victim.kill('SIGSTOP')
    claim.release()
    await service.startWorker()
    await messagesTo(service, to, 1, SECOND_MS + SLACK_MS)
    victim.kill('SIGCONT')
    await victim.ready()
    await vi.waitFor(() => expect(victim.output()).toMatch(DEALT_WITH), 5_000)
    expect(await service.arrived(to)).toHaveLength(1)
    expect(await service.delivery(begun.id)).toBe('accepted')
    await expectNothingBroken(service, redis.url, [begun])
  })
})

describe.concurrent('a worker whose event loop is blocked', () => {
  it.for([
    ['right after its claim', '0100', 1],
    ['with a message under way', '0111', 2],
  ] as const)(
    'for 30 s %s: the other one takes over, and it sends nothing when it wakes',
    { timeout: 90_000 },
    async ([moment, ending, most], context) => {
      const { redis, tap, service, victim } = await stage(context, { NODE_OPTIONS: BLOCKABLE })
      if (most === 2) service.sandbox.setLatency(1_000)
      const to = numberEnding(ending)
      const caught = tap.catch('claim', 'answered')
      const begun = await begin(service, to)
      const claim = await caught
      if (most === 2) claim.release()
      if (most === 2) await messagesTo(service, to, 1, 5_000)
      victim.kill('SIGUSR2')
      await vi.waitFor(() => expect(victim.output()).toContain('blocked for'), 5_000)
      claim.release()
      await service.startWorker()
      await messagesTo(service, to, most, SECOND_MS + SLACK_MS)
      await vi.waitFor(() => expect(victim.output()).toContain('no longer blocked'), 35_000)
      await victim.ready()
      await vi.waitFor(() => expect(victim.output()).toMatch(DEALT_WITH), 5_000)
      expect((await service.arrived(to)).length, moment).toBe(most)
      await expectNothingBroken(service, redis.url, [begun])
    },
  )
})

const BLOCKABLE = `--import ${import.meta.dirname}/../fixtures/blockable.ts`
