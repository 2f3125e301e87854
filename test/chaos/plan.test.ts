/** A plan of a chaos run: the same for the same seed, another for another, and nothing left out in the long run. */
import { describe, expect, it } from 'vitest'
import { parseDestination } from '#verification/destination.ts'
import { drawPlan } from './plan.ts'

const MINUTE_MS = 60_000

describe('a plan', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(drawPlan(7, 2 * MINUTE_MS)).toEqual(drawPlan(7, 2 * MINUTE_MS))
    expect(drawPlan(7, 2 * MINUTE_MS).print).not.toBe(drawPlan(8, 2 * MINUTE_MS).print)
  })

  it('of this seed is this one, on every machine', () => {
    const { people, faults, print } = drawPlan(1, MINUTE_MS)
    expect([people.length, faults.length, print]).toEqual([439, 15, '18e4df8c3366'])
  })

  it('gives everybody a number of their own that a code can be sent to', () => {
    const { people } = drawPlan(1, 9 * MINUTE_MS)
    expect(new Set(people.map(({ to }) => to)).size).toBe(people.length)
    for (const { to } of people)
      expect(parseDestination(to, { regions: new Set(['US']) })).toMatchObject({ kind: 'destination' })
  })

  it('strikes one place with one fault at a time, and not before everything has been seen to work', () => {
    for (let seed = 0; seed < 50; seed++) {
      const { faults } = drawPlan(seed, 5 * MINUTE_MS)
      const until = new Map<string, number>()
      for (const { place, atMs, lastsMs } of faults) {
        expect(atMs).toBeGreaterThanOrEqual(Math.max(5_000, until.get(place) ?? 0))
        until.set(place, atMs + lastsMs)
      }
    }
  })

  it('has every fault and everything people do in it, in a few runs', () => {
    const plans = Array.from({ length: 20 }, (_, seed) => drawPlan(seed, 5 * MINUTE_MS))
    const kinds = new Set(plans.flatMap(({ faults }) => faults.map(({ place, kind }) => `${place} ${kind}`)))
    const intents = new Set(plans.flatMap(({ people }) => people.map(({ intent }) => intent)))
    // Of Redis, the provider, its REST alone, the receiver of events, the queue, each worker, each API.
    expect(kinds.size).toBe(7 + 7 + 4 + 3 + 2 + 2 * 5 + 2 * 2)
    expect(intents.size).toBe(7)
    expect(new Set(plans.map(({ setup }) => setup.providers))).toEqual(new Set(['relay', 'relay,rest']))
  })

  it('breaks nothing of REST where there is only the websocket', () => {
    for (let seed = 0; seed < 50; seed++) {
      const { setup, faults } = drawPlan(seed, 5 * MINUTE_MS)
      expect(setup.providers === 'relay' && faults.some(({ place }) => place === 'rest')).toBe(false)
    }
  })

  it('asks for no number that breaks the websocket so late that it could be sent to when all faults are over', () => {
    const { people } = drawPlan(1, 5 * MINUTE_MS)
    const breaking = people.filter(({ to }) => /01(06|07|12)$/.test(to))
    expect(breaking.length).toBeGreaterThan(10)
    expect(Math.max(...breaking.map(({ atMs }) => atMs))).toBeLessThan(4 * MINUTE_MS)
  })
})
