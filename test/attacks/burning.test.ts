/** Requests that cost us much more to read than a stranger to write. */
import { describe, expect, it } from 'vitest'
import { createReadDestination } from '#api/destinations.ts'
import { type Api, apiOn } from '#test/api/api.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { elsewhere, times } from './stranger.ts'

const connection = useRedis()
const BODY_BYTES = 8_000
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const JSON_TYPE = { 'Content-Type': 'application/json' }
/** Reading in proportion to size is within a few times; by its square it is a hundred. */
const TIMES_DEARER_MAX = 15

/** As many names as go into a body, each another one. */
const names = times(2_000, (index) => index.toString(36))

const bodies: readonly [string, { [name: string]: string }, string][] = [
  ['a form of two thousand fields', FORM, names.join('&')],
  ['a form that names one field two thousand times', FORM, times(2_000, () => 'a=1').join('&')],
  [
    'JSON of a thousand fields',
    JSON_TYPE,
    JSON.stringify(Object.fromEntries(names.slice(0, 900).map((n) => [`a${n}`, 1]))),
  ],
  ['JSON of lists in lists', JSON_TYPE, '['.repeat(BODY_BYTES / 2) + ']'.repeat(BODY_BYTES / 2)],
  ['JSON that names one field a thousand times', JSON_TYPE, `{${times(1_000, () => '"a":1').join()}}`],
  ['JSON of one string of escapes', JSON_TYPE, `{"number":"${'\\\\'.repeat(BODY_BYTES / 2 - 10)}"}`],
  ['a number of eight thousand digits', JSON_TYPE, `{"number":"${'1'.repeat(BODY_BYTES - 20)}"}`],
]

/** Processor time of one such request in microseconds: the least of several rounds. */
async function costOf(
  api: Api,
  headers: { [name: string]: string },
  body: string,
  path = '/request-auth',
): Promise<number> {
  const costs = []
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage()
    for (let turn = 0; turn < 10; turn++) await (await api.postText(path, body, headers)).text()
    const { user, system } = process.cpuUsage(before)
    costs.push((user + system) / 10)
  }
  return Math.min(...costs)
}

describe('a body within the limit', () => {
  it.each(bodies)('of %s costs about as much as any of its size', async (_, headers, body) => {
    expect(body.length).toBeLessThanOrEqual(8 * 1_024)
    const api = apiOn(connection.redis)
    const plain = await costOf(api, FORM, `x=${'a'.repeat(BODY_BYTES)}`)
    const cost = await costOf(api, headers, body)
    expect(cost).toBeLessThan(TIMES_DEARER_MAX * plain)
  })
})

describe('a callback that nobody signed', () => {
  it('of thousands of fields costs about as much as any of its size', async () => {
    const signingKeys = ['one key', 'another key']
    const callbacks = { publicUrl: 'https://2fa.example.com', signingKeys }
    const api = apiOn(connection.redis, { config: { callbacks } })
    const fields = times(5_000, (index) => ((index * 7_919) % 46_656).toString(36)).join('&')
    const path = '/callbacks/signalwire'
    expect(fields.length).toBeLessThanOrEqual(20 * 1_024)
    const plain = await costOf(api, FORM, `x=${'a'.repeat(fields.length)}`, path)
    expect(await costOf(api, FORM, fields, path)).toBeLessThan(TIMES_DEARER_MAX * plain)
  })
})

describe('what is remembered of numbers', () => {
  it('is bounded over all countries and channels, so that no row of spellings fills the memory', () => {
    const read = createReadDestination(new Set(['US']))
    const first = elsewhere()
    const remembered = read(first, 'US')
    expect(read(first, 'US')).toBe(remembered)
    for (const country of ['DE', 'FR', 'GB', 'IN'] as const)
      for (const channel of ['sms', 'call'] as const)
        for (let spelling = 0; spelling < 1_000; spelling++) read(`no number ${spelling}`, country, channel)
    expect(read(first, 'US')).not.toBe(remembered)
  })
})
