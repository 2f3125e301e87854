/** When a worker takes jobs and when it leaves them, with BullMQ's words and with BullMQ. */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createDeliveryQueue, jobIdOf } from '#queue/delivery-queue.ts'
import { connectForQueue } from '#runtime/redis.ts'
import { freshPrefix, silentLog, testRedisUrl } from '#test/fixtures/redis.ts'
import { APPLICATION } from '#test/fixtures/store.ts'
import type { SendReference, VerificationId } from '#verification/verification.ts'
import { createIntake } from '#worker/intake.ts'
import { createProcessor, startQueueWorker } from '#worker/processor.ts'

const signal = new AbortController().signal

function steering(canSend: boolean) {
  const provider = { can: canSend, canSend: () => provider.can }
  const said: string[] = []
  const worker = {
    paused: false,
    running: true,
    pause: async (doNotWaitActive?: boolean) => {
      said.push(doNotWaitActive ? 'pause' : 'wait and pause')
      worker.paused = true
    },
    resume: async () => {
      said.push('resume')
      Object.assign(worker, { paused: false, running: true })
    },
    isPaused: () => worker.paused,
    isRunning: () => worker.running,
  }
  const intake = createIntake({ provider, log: silentLog })
  onTestFinished(() => intake.stop())
  return { provider, worker, said, intake }
}

describe('an intake', () => {
  it('is shut from the start until a provider can send', async () => {
    const { provider, said, intake, worker } = steering(false)
    intake.start(worker)
    expect(said).toEqual(['pause'])
    expect(intake.isOpen()).toBe(false)
    provider.can = true
    expect(intake.isOpen()).toBe(true)
    await vi.waitFor(() => expect(said).toEqual(['pause', 'resume']), { timeout: 900, interval: 10 })
  })

  it('is shut by the first job that comes when none can send, once, without waiting for others', () => {
    const { provider, said, intake, worker } = steering(true)
    intake.start(worker)
    expect(said).toEqual([])
    provider.can = false
    for (let job = 0; job < 5; job++) expect(intake.isOpen()).toBe(false)
    expect(said).toEqual(['pause'])
  })

  it('is shut without any job as well', async () => {
    const { provider, said, intake, worker } = steering(true)
    intake.start(worker)
    provider.can = false
    await vi.waitFor(() => expect(said).toEqual(['pause']), { timeout: 900, interval: 10 })
  })

  it('starts a worker again that ended by itself', async () => {
    const { said, intake, worker } = steering(true)
    intake.start(worker)
    worker.running = false
    await vi.waitFor(() => expect(said).toEqual(['resume']), { timeout: 900, interval: 10 })
  })

  it('that is stopped takes nothing any more when a provider is well again', async () => {
    const { provider, said, intake, worker } = steering(false)
    intake.start(worker)
    intake.stop()
    provider.can = true
    await wait(500)
    expect(said).toEqual(['pause'])
  })
})

describe('with BullMQ', () => {
  /** Workers on one queue: each with a provider that can send or not, and what it delivered. */
  function queueWith(...able: boolean[]) {
    const prefix = freshPrefix()
    const connect = () => {
      const connection = connectForQueue(testRedisUrl(), silentLog)
      onTestFinished(() => connection.disconnect())
      return connection
    }
    const queue = createDeliveryQueue({ connection: connect(), prefix })
    const workers = able.map((canSend) => {
      const provider = { can: canSend, canSend: () => provider.can }
      const delivered: string[] = []
      let hold: Promise<unknown> = Promise.resolve()
      const intake = createIntake({ provider, log: silentLog })
      const deliver = async (send: SendReference) => {
        delivered.push(jobIdOf(send))
        await hold
        return { kind: 'closed', why: 'accepted' } as const
      }
      const processor = createProcessor({ deliver, isOpen: intake.isOpen, log: silentLog, signal })
      const worker = startQueueWorker({
        connection: connect(),
        prefix,
        concurrency: 5,
        processor,
        log: silentLog,
      })
      onTestFinished(async () => {
        intake.stop()
        await worker.close()
      })
      return {
        provider,
        delivered,
        start: () => intake.start(worker),
        holdUntil: (until: Promise<unknown>) => (hold = until),
      }
    })
    let added = 0
    const addOne = () => {
      const verification = (added++).toString(16).padStart(32, '0') as VerificationId
      return queue.enqueue({ application: APPLICATION, verification, send: 1 })
    }
    const add = (count: number) => Promise.all(Array.from({ length: count }, addOne))
    return { workers, add, backlog: () => queue.backlog() }
  }

  it('a job taken by one that cannot send goes back, and to one that can, each once', async () => {
    const { workers, add } = queueWith(false, true)
    const [shut, open] = workers
    // Never told to pause: all that keeps its jobs from being worked on is that each is asked about.
    open?.start()
    await vi.waitFor(() => add(1))
    await add(59)
    await vi.waitFor(() => expect(open?.delivered).toHaveLength(60), { timeout: 5_000 })
    expect(new Set(open?.delivered).size).toBe(60)
    expect(shut?.delivered).toEqual([])
  })

  it('takes what waited within a second, time and again, also while it has others in hand', async () => {
    const { workers, add, backlog } = queueWith(true)
    const [only] = workers
    only?.start()
    const release = Promise.withResolvers<void>()
    only?.holdUntil(release.promise)
    await vi.waitFor(() => add(1))
    await vi.waitFor(() => expect(only?.delivered).toHaveLength(1))
    for (const inHand of [1, 2, 3]) {
      if (only) only.provider.can = false
      await wait(500)
      await add(1)
      await wait(500)
      expect(only?.delivered).toHaveLength(inHand)
      expect(await backlog()).toBe(1)
      if (only) only.provider.can = true
      await vi.waitFor(() => expect(only?.delivered).toHaveLength(inHand + 1), { timeout: 1_000 })
    }
    release.resolve()
    await vi.waitFor(async () => expect(await backlog()).toBe(0))
  })
})
