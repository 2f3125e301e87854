/** How long the provider waits before it dials again. */
import { describe, expect, test } from 'vitest'
import { createBackoff } from '#providers/relay-backoff.ts'

/** Every wait is between a half and the whole of `ms`. */
function expectAbout(waitMs: number, ms: number): void {
  expect(waitMs).toBeGreaterThanOrEqual(ms / 2)
  expect(waitMs).toBeLessThanOrEqual(ms)
}

describe('the wait', () => {
  test('after losses doubles from 250 ms to 15 s', () => {
    const backoff = createBackoff()
    for (const ms of [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000])
      expectAbout(backoff.afterLoss(0), ms)
  })

  test.each([
    [4_999, 1_000],
    [5_000, 250],
    [5_001, 250],
  ])('after two losses and a link that lasted %i ms is at most %i ms', (lastedMs, ms) => {
    const backoff = createBackoff()
    backoff.afterLoss(0)
    backoff.afterLoss(0)
    expectAbout(backoff.afterLoss(lastedMs), ms)
  })

  test('after refused credentials is at most 5 s a dozen times, then doubles to a minute, until they are taken', () => {
    const backoff = createBackoff()
    for (let refusals = 0; refusals < 12; refusals++) expectAbout(backoff.afterRefusal(), 5_000)
    for (const ms of [10_000, 20_000, 40_000, 60_000, 60_000]) expectAbout(backoff.afterRefusal(), ms)
    backoff.connected()
    expectAbout(backoff.afterRefusal(), 5_000)
  })

  test('is seldom the same twice', () => {
    const waits = Array.from({ length: 50 }, () => createBackoff({ minMs: 10_000 }).afterLoss(0))
    expect(new Set(waits).size).toBeGreaterThan(10)
  })
})
