/** A step that a worker does again and again: at once while there is `more` to do, else after a rest. */

export type Step = () => Promise<'more' | 'rest'>

/** @param onFault told of what a step threw; the next one comes after a rest all the same */
export function createLoop(options: { step: Step; restMs: number; onFault: (error: unknown) => void }) {
  const { step, restMs, onFault } = options
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let stopped = false

  async function run(): Promise<void> {
    let next: 'more' | 'rest' = 'rest'
    try {
      next = await step()
    } catch (error) {
      onFault(error)
    }
    if (!stopped) schedule(next === 'more' ? 0 : restMs)
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => {
      running = run()
    }, ms)
  }

  return {
    start: () => schedule(0),
    isStopped: () => stopped,
    /** Resolves when the step at work has ended. */
    settled: () => running,
    /** No step begins after this resolves. */
    async stop(): Promise<void> {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
