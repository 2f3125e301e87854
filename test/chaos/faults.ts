/** What each kind of fault does, and how it is undone. Kinds and places are those of the plan. */
import { setTimeout as wait } from 'node:timers/promises'
import { type ConnectionOptions, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { QUEUE_NAME, queuePrefix } from '#queue/delivery-queue.ts'
import type { Trouble } from '#sandbox/connection.ts'
import type { Door, Mood } from './door.ts'
import type { Known } from './history.ts'
import type { Fault, FaultOf, Place } from './plan.ts'
import { LATENCY_MS, type Slot, type World } from './world.ts'

/** Breaks something, keeps it broken for so long, and mends it. */
type Strike = (lastsMs: number) => Promise<unknown>

const FLAP_MS = 5_000
/** Late enough that no answer comes before the worker's own deadline. */
const LATE_MS = 9_500

export function createFaults(world: World, known: readonly Known[]) {
  const { redis, sandbox } = world

  /** Asks Redis until it is done: the connection that asks may be the one that is cut. */
  async function mustAsk(question: string): Promise<void> {
    while ((await redis.ask(question)) === undefined) await wait(50)
  }

  const setting =
    (name: string, broken: string, well: string): Strike =>
    async (lastsMs) => {
      await mustAsk(`CONFIG SET ${name} ${broken}`)
      await wait(lastsMs)
      await mustAsk(`CONFIG SET ${name} ${well}`)
    }

  const ofRedis: Record<FaultOf<'redis'>, Strike> = {
    async frozen(lastsMs) {
      redis.freeze()
      await wait(lastsMs)
      redis.thaw()
    },
    async 'killed and back'(lastsMs) {
      await redis.kill()
      await wait(lastsMs)
      await redis.restart()
    },
    'out of memory': setting('maxmemory', '1', '0'),
    async 'read-only'(lastsMs) {
      await mustAsk('REPLICAOF 127.0.0.1 1')
      await wait(lastsMs)
      await mustAsk('REPLICAOF NO ONE')
    },
    'without its replicas': setting('min-replicas-to-write', '1', '0'),
    async 'without its scripts'() {
      await mustAsk('FUNCTION FLUSH')
      await mustAsk('SCRIPT FLUSH')
    },
    'every connection cut': () => mustAsk('CLIENT KILL TYPE normal'),
  }

  const inTrouble =
    (trouble: Trouble): Strike =>
    async (lastsMs) => {
      sandbox.setTrouble(trouble)
      sandbox.dropConnections()
      await wait(lastsMs)
      sandbox.setTrouble(undefined)
    }

  const ofProvider: Record<FaultOf<'provider'>, Strike> = {
    'connections cut': async () => sandbox.dropConnections(),
    restarting: async () => sandbox.restart(),
    async gone(lastsMs) {
      await sandbox.close()
      await world.rest.during('gone', () => wait(lastsMs))
      await sandbox.listen(world.sandboxPort)
    },
    'answering 503': inTrouble('unavailable'),
    'refusing credentials': inTrouble('unauthorized'),
    async 'answering late'(lastsMs) {
      sandbox.setLatency(LATE_MS)
      await wait(lastsMs)
      sandbox.setLatency(LATENCY_MS)
    },
    async 'connections cut every 5 s'(lastsMs) {
      for (let atMs = 0; atMs < lastsMs; atMs += FLAP_MS) {
        sandbox.dropConnections()
        await wait(FLAP_MS)
      }
    },
  }

  const through =
    (door: Pick<Door, 'during'>, mood: Mood): Strike =>
    (lastsMs) =>
      door.during(mood, () => wait(lastsMs))

  const ofRest: Record<FaultOf<'rest'>, Strike> = {
    gone: through(world.rest, 'gone'),
    hanging: through(world.rest, 'hanging'),
    'answering 503': through(world.rest, 'answering 503'),
    'refusing credentials': through(world.rest, 'refusing credentials'),
  }

  const ofReceiver: Record<FaultOf<'receiver'>, Strike> = {
    gone: through(world.receiver, 'gone'),
    hanging: through(world.receiver, 'hanging'),
    'answering 503': through(world.receiver, 'answering 503'),
  }

  const ofQueue: Record<FaultOf<'queue'>, Strike> = {
    'poison jobs': () =>
      addJobs(world, [null, {}, 'default//1', `default/${'0'.repeat(32)}/1`, { to: '+12025550123' }]),
    'jobs again': () =>
      addJobs(
        world,
        known.slice(-200).map(({ id }) => `default/${id}/1`),
      ),
  }

  const ofWorker = (slot: Slot): Record<FaultOf<'worker'>, Strike> => ({
    ...ofApi(slot),
    async frozen(lastsMs) {
      slot.kill('SIGSTOP')
      await wait(lastsMs)
      slot.kill('SIGCONT')
    },
    async blocked() {
      slot.kill('SIGUSR2')
    },
    async 'of another version'(lastsMs) {
      await slot.end('SIGTERM')
      await slot.start({ UNKNOWN: 'stop', CHECKS_MAX: '4' })
      await wait(lastsMs)
      await slot.end('SIGTERM')
      await slot.start()
    },
  })

  const ofApi = (slot: Slot): Record<FaultOf<'api'>, Strike> => ({
    async killed(lastsMs) {
      await slot.end('SIGKILL')
      await wait(lastsMs)
      await slot.start()
    },
    async 'told to stop'(lastsMs) {
      await slot.end('SIGTERM')
      await wait(lastsMs)
      await slot.start()
    },
  })

  const [api0, api1, worker0, worker1] = world.slots as [Slot, Slot, Slot, Slot]
  const strikes: Record<Place, Record<string, Strike>> = {
    redis: ofRedis,
    provider: ofProvider,
    rest: ofRest,
    receiver: ofReceiver,
    queue: ofQueue,
    'worker 0': ofWorker(worker0),
    'worker 1': ofWorker(worker1),
    'api 0': ofApi(api0),
    'api 1': ofApi(api1),
  }
  /** At each place one after the other, however long each takes. */
  const last = new Map<Place, Promise<unknown>>()

  return async ({ place, kind, lastsMs }: Fault): Promise<void> => {
    const strike = strikes[place][kind]
    if (!strike) throw new Error(`No fault is called ${kind} at ${place}`)
    const turn = Promise.resolve(last.get(place)).then(() => strike(lastsMs))
    last.set(place, turn)
    await turn
  }
}

/** As somebody else would write into the queue; not at all while Redis is in trouble. */
async function addJobs({ redis, prefix }: World, jobs: readonly unknown[]): Promise<void> {
  const client = new Redis(redis.url, {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    lazyConnect: true,
    retryStrategy: () => null,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const queue = new Queue(QUEUE_NAME, {
      connection: client as ConnectionOptions,
      prefix: queuePrefix(prefix),
      skipMetasUpdate: true,
      skipVersionCheck: true,
    })
    queue.on('error', () => {})
    const added = jobs.map((data, at) => ({
      name: 'deliver',
      data,
      opts: { jobId: `again-${Date.now()}-${at}` },
    }))
    await Promise.race([queue.addBulk(added), wait(2_000)])
  } catch {
    // Redis refused; there will be other faults.
  } finally {
    client.disconnect()
  }
}
