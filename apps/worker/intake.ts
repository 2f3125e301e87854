/**
 * Decides whether this worker takes jobs: only while a provider of it can send. What it does not take waits in the queue,
 * for another worker or for this one, and costs its send no attempt. Nothing else pauses the queue's worker.
 */
import type { Worker } from 'bullmq'
import type { Provider } from '#providers/provider.ts'
import type { Log } from '#runtime/log.ts'

/** How soon after a provider can send again its worker takes jobs. */
const LOOK_MS = 200

type QueueWorker = Pick<Worker, 'pause' | 'resume' | 'isPaused' | 'isRunning'>

export function createIntake({ provider, log }: { provider: Pick<Provider, 'canSend'>; log: Log }) {
  let worker: QueueWorker | undefined
  let timer: NodeJS.Timeout | undefined

  /** BullMQ finishes what it has in hand all the same; it may still take the one job that it was waiting for. */
  function pause(): void {
    if (!worker || worker.isPaused()) return
    void worker.pause(true)
    log.info({ result: 'paused' }, 'no provider can send: jobs are left in the queue')
  }

  function resume(): void {
    if (!worker || (worker.isRunning() && !worker.isPaused())) return
    void worker.resume()
    log.info({ result: 'resumed' }, 'a provider can send: jobs are taken')
  }

  const look = () => (provider.canSend() ? resume() : pause())

  return {
    /** Asked for each job right before it is worked on: while it is false, the job goes back. */
    isOpen(): boolean {
      const open = provider.canSend()
      if (!open) pause()
      return open
    },
    /** Pauses it at once where no provider can send yet. */
    start(queueWorker: QueueWorker): void {
      worker = queueWorker
      look()
      timer = setInterval(look, LOOK_MS)
    },
    stop: () => clearInterval(timer),
  }
}
