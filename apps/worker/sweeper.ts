/**
 * Brings to the queue what was stored but never queued, and ends what nobody ended. One step looks at every
 * application once; main.ts repeats it. Any number of workers may sweep: each verification is looked at by one.
 */
import type { DeliveryQueue } from '#queue/delivery-queue.ts'
import type { Log } from '#runtime/log.ts'
import type { Deliveries } from '#store/deliveries.ts'
import type { Application } from '#verification/verification.ts'
import { createFaultLog } from './fault-log.ts'

/** Verifications looked at in one script: a short stay in Redis. */
const BATCH = 100
const REST_MS = 1_000

export function createSweeper(deps: { deliveries: Deliveries; queue: DeliveryQueue; log: Log }) {
  const { deliveries, queue, log } = deps
  const stumbled = createFaultLog(log)
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let stopped = false

  async function step(): Promise<'more' | 'rest'> {
    let more = false
    for (const application of await deliveries.applications()) {
      if (stopped) break
      more = (await sweep(application)) || more
    }
    return more ? 'more' : 'rest'
  }

  /** Whether there is more than was looked at. What goes wrong with one application is none of the others' business. */
  async function sweep(application: Application): Promise<boolean> {
    try {
      const { looked, sends } = await deliveries.sweep(application, BATCH)
      await Promise.all(sends.map((send) => queue.enqueue(send)))
      if (sends.length > 0) log.info({ application, count: sends.length }, 'swept to the queue')
      return looked === BATCH
    } catch (error) {
      stumbled(error, { application }, 'sweep put off')
      return false
    }
  }

  async function run(): Promise<void> {
    let next: 'more' | 'rest' = 'rest'
    try {
      next = await step()
    } catch (error) {
      stumbled(error, {}, 'sweep put off')
    }
    if (!stopped) schedule(next === 'more' ? 0 : REST_MS)
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => {
      running = run()
    }, ms)
  }

  return {
    /** One look at everything due; `more` when there was more than fits into one look. */
    step,
    start: () => schedule(0),
    /** No step begins after this resolves. */
    async stop(): Promise<void> {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
