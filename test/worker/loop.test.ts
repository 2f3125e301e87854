import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createLoop, type Step } from '#worker/loop.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Each step in turn, the last one for ever. */
function looping(...steps: Step[]) {
  const faults: unknown[] = []
  const step = vi.fn((): ReturnType<Step> => {
    const next = steps.length > 1 ? steps.shift() : steps[0]
    return next ? next() : Promise.resolve('rest')
  })
  const loop = createLoop({ step, restMs: 1_000, onFault: (error) => void faults.push(error) })
  return { loop, step, faults }
}

it('goes on at once while there is more, and rests when there is not', async () => {
  const { loop, step } = looping(
    async () => 'more',
    async () => 'more',
    async () => 'rest',
  )
  loop.start()
  await vi.advanceTimersByTimeAsync(900)
  expect(step).toHaveBeenCalledTimes(3)
  await vi.advanceTimersByTimeAsync(200)
  expect(step).toHaveBeenCalledTimes(4)
})

it('tells a fault, rests, and goes on', async () => {
  const fault = new Error('x')
  const { loop, step, faults } = looping(
    async () => Promise.reject(fault),
    async () => 'rest',
  )
  loop.start()
  await vi.advanceTimersByTimeAsync(999)
  expect([step.mock.calls.length, faults]).toEqual([1, [fault]])
  await vi.advanceTimersByTimeAsync(1)
  expect([step.mock.calls.length, faults]).toEqual([2, [fault]])
})

it('that is stopped waits for the step at work and begins no other', async () => {
  const gate = Promise.withResolvers<'more'>()
  const { loop, step } = looping(() => gate.promise)
  loop.start()
  await vi.advanceTimersByTimeAsync(0)
  let stopped = false
  const stopping = loop.stop().then(() => {
    stopped = true
  })
  await vi.advanceTimersByTimeAsync(5_000)
  expect(stopped).toBe(false)
  gate.resolve('more')
  await stopping
  await vi.advanceTimersByTimeAsync(5_000)
  expect(step).toHaveBeenCalledTimes(1)
})
