/**
 * Brings to the queue what was stored but never queued, and ends what nobody ended. One step looks at every
 * application once; main.ts repeats it. Any number of workers may sweep: each verification is looked at by one.
 */
import type { DeliveryQueue } from '#queue/delivery-queue.ts'
import type { Log } from '#runtime/log.ts'
import type { Deliveries } from '#store/deliveries.ts'
import type { Application } from '#verification/verification.ts'
import { createFaultLog } from './fault-log.ts'
import { createLoop } from './loop.ts'

/** Verifications looked at in one script: a short stay in Redis. */
const BATCH = 100
const REST_MS = 1_000

export function createSweeper(deps: { deliveries: Deliveries; queue: DeliveryQueue; log: Log }) {
  const { deliveries, queue, log } = deps
  const stumbled = createFaultLog(log)
  const loop = createLoop({
    step,
    restMs: REST_MS,
    onFault: (error) => stumbled(error, {}, 'sweep put off'),
  })

  async function step(): Promise<'more' | 'rest'> {
    let more = false
    for (const application of await deliveries.applications()) {
      if (loop.isStopped()) break
      more = (await sweep(application)) || more
    }
    return more ? 'more' : 'rest'
  }

  /** Whether there is more than was looked at. What goes wrong with one application is none of the others' business. */
  async function sweep(application: Application): Promise<boolean> {
    try {
      const { looked, sends, unsent } = await deliveries.sweep(application, BATCH)
      if (unsent !== undefined)
        log.info({ application, count: unsent, reason: 'not_sent_in_time' }, 'ended unsent')
      await Promise.all(sends.map((send) => queue.enqueue(send)))
      if (sends.length > 0) log.info({ application, count: sends.length }, 'swept to the queue')
      return looked === BATCH
    } catch (error) {
      stumbled(error, { application }, 'sweep put off')
      return false
    }
  }

  return {
    /** One look at everything due; `more` when there was more than fits into one look. */
    step,
    start: loop.start,
    stop: loop.stop,
  }
}
