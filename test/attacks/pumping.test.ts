/**
 * SMS pumping, simulated on the real scripts with the traffic's own time: whoever earns on messages nobody reads is
 * stopped by what the gate sees, and people whose codes are typed in are not.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { createReplay, type Verdict } from '#admin/replay.ts'
import { isSent } from '#admin/report.ts'
import { type Asked, addressOf, HOUR, MINUTE, numberIn, trafficOf } from '#test/admin/traffic.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import type { Region } from '#verification/destination.ts'
import { DEFAULT_POLICY, type Policy } from '#verification/policy.ts'

const connection = useRedis()
const CENT = 10_000

/** The defaults, but with budgets that a service with customers would set: they must not be what stops the attack. */
const withCustomers: Policy = {
  ...DEFAULT_POLICY,
  rules: DEFAULT_POLICY.rules.filter(
    ({ scope, counts }) => counts === 'conversion' || !['region', 'application', 'overall'].includes(scope),
  ),
}

let end: (() => Promise<void>) | undefined
afterEach(async () => end?.())

async function run(asked: readonly Asked[], policy: Policy = withCustomers): Promise<Verdict[]> {
  const replay = createReplay({
    redis: connection.redis,
    policy,
    regions: new Set<Region>(['US', 'CA']),
    lists: { allowed: [], denied: [], tests: [] },
    countSegments: () => 1,
  })
  end = replay.end
  const verdicts: Verdict[] = []
  for (const traffic of trafficOf(asked)) verdicts.push(await replay.judge(traffic))
  return verdicts.filter(({ traffic }) => traffic.event === 'start')
}

const sentOf = (verdicts: readonly Verdict[]) => verdicts.filter(({ result }) => isSent(result))
const limitsOf = (verdicts: readonly Verdict[]) => new Set(verdicts.flatMap(({ limit }) => limit ?? []))

describe('a range of numbers whose owner earns on each message', () => {
  it('is stopped within one range, though each start comes from another address', async () => {
    const asked = Array.from({ length: 200 }, (_, index) => ({
      atMs: index * 10_000,
      to: numberIn(901, index),
      clientIp: addressOf(index),
      types: false,
    }))
    const verdicts = await run(asked)
    expect(sentOf(verdicts).length).toBeLessThanOrEqual(20)
    // Once the first have ended unread that holds longer than the hour.
    expect(limitsOf(verdicts)).toEqual(new Set(['range_numbers', 'prefix_hour', 'prefix_conversion']))
  })

  it('is stopped by conversion when it is slow enough for every other limit', async () => {
    const asked = Array.from({ length: 200 }, (_, index) => ({
      atMs: index * 7 * MINUTE,
      to: numberIn(902, (index * 1_001) % 10_000),
      clientIp: addressOf(index),
      types: false,
    }))
    const verdicts = await run(asked)
    expect(sentOf(verdicts).length).toBeLessThanOrEqual(25)
    expect(limitsOf(verdicts)).toContain('prefix_conversion')
  })

  it('is stopped by money when it is spread over so many prefixes that none of them stands out', async () => {
    const spending: Policy = { ...DEFAULT_POLICY, prices: { US: 10 * CENT, '*': 30 * CENT } }
    const asked = Array.from({ length: 300 }, (_, index) => ({
      atMs: index * 4 * MINUTE,
      to: numberIn(200 + (index % 700), (index * 37) % 10_000),
      clientIp: addressOf(index),
      types: false,
    }))
    const verdicts = await run(asked, spending)
    const spent = sentOf(verdicts).reduce((sum, { price }) => sum + price, 0)
    expect(spent).toBeLessThanOrEqual(10 * 100 * CENT)
    expect(limitsOf(verdicts)).toContain('region_spend_day')
  })
})

describe('people', () => {
  it('of whom seven in ten type their code all get one', async () => {
    const asked = Array.from({ length: 200 }, (_, index) => ({
      atMs: index * 7 * MINUTE,
      to: numberIn(903, (index * 1_001) % 10_000),
      clientIp: addressOf(index),
      types: index % 10 < 7,
    }))
    const verdicts = await run(asked)
    expect(limitsOf(verdicts)).toEqual(new Set())
    expect(sentOf(verdicts)).toHaveLength(200)
  })

  it('beside a range under attack are not stopped with it', async () => {
    const attack = Array.from({ length: 100 }, (_, index) => ({
      atMs: index * MINUTE,
      to: numberIn(904, index),
      clientIp: addressOf(index),
      types: false,
    }))
    const people = Array.from({ length: 60 }, (_, index) => ({
      atMs: index * 2 * MINUTE + 5_000,
      to: numberIn(300 + index, 1_234),
      clientIp: addressOf(1_000 + index),
      types: true,
    }))
    const verdicts = await run([...attack, ...people])
    const ofPeople = verdicts.filter(({ traffic }) => !traffic.to.startsWith('+1202904'))
    expect(sentOf(ofPeople)).toHaveLength(60)
    expect(sentOf(verdicts).length - 60).toBeLessThanOrEqual(30)
  })
})

describe('one address', () => {
  it('reaches ten numbers a day, and ten codes an hour', async () => {
    const asked = Array.from({ length: 100 }, (_, index) => ({
      atMs: index * 5 * MINUTE,
      to: numberIn(300 + index, 5_000),
      clientIp: '203.0.113.7',
      types: true,
    }))
    const verdicts = await run(asked)
    for (let from = 0; from < 100; from++) {
      const hour = verdicts.filter(({ traffic }) => {
        const at = traffic.atMs - (verdicts[0]?.traffic.atMs ?? 0)
        return at >= from * 5 * MINUTE && at < from * 5 * MINUTE + HOUR
      })
      expect(sentOf(hour).length).toBeLessThanOrEqual(10)
    }
    expect(sentOf(verdicts).length).toBeLessThanOrEqual(10)
    expect(limitsOf(verdicts)).toContain('ip_numbers_day')
  })
})

describe('a window', () => {
  it('cannot be doubled across an edge, wherever it begins', async () => {
    const rules = DEFAULT_POLICY.rules.filter(({ name }) => name === 'overall_hour')
    const policy = { ...DEFAULT_POLICY, rules: rules.map((rule) => ({ ...rule, max: 20 }) as typeof rule) }
    const asked = Array.from({ length: 400 }, (_, index) => ({
      atMs: 50 * MINUTE + index * 20_000,
      to: numberIn(200 + index, 4_000),
      types: false,
    }))
    const verdicts = sentOf(await run(asked, policy))
    for (const { traffic } of verdicts) {
      const window = verdicts.filter(
        (other) => other.traffic.atMs >= traffic.atMs && other.traffic.atMs < traffic.atMs + HOUR,
      )
      expect(window.length).toBeLessThanOrEqual(20)
    }
    expect(verdicts.length).toBeGreaterThan(30)
  })
})
