/**
 * Many numbers that are one, and one code tried against many.
 */
import { describe, expect, it } from 'vitest'
import { apiOn, expectProblem } from '#test/api/api.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import type { Policy } from '#verification/policy.ts'
import { begin, elsewhere, SENDS_FREE, START, tally, times, verdictOf } from './stranger.ts'

const connection = useRedis()

const victimsApi = (policy: Partial<Policy> = {}) =>
  apiOn(connection.redis, { policy: { ...SENDS_FREE, ...policy } })

describe('one budget for ten spellings of one number:', () => {
  const SPELLINGS = (to: string): string[] => {
    const [area, middle, last] = [to.slice(2, 5), to.slice(5, 8), to.slice(8)]
    return [
      `+1${area}${middle}${last}`,
      `+1 ${area} ${middle} ${last}`,
      `+1-${area}-${middle}-${last}`,
      `+1 (${area}) ${middle}-${last}`,
      `+1.${area}.${middle}.${last}`,
      `1 (${area}) ${middle} ${last}`,
      `+1\u00a0${area}\u00a0${middle}\u00a0${last}`,
      `(${area}) ${middle}-${last}`,
      `${area}${middle}${last}`,
      `1${area}${middle}${last}`,
    ]
  }

  it('the first is sent to, the other nine wait', async () => {
    const api = apiOn(connection.redis)
    const statuses = []
    for (const to of SPELLINGS(elsewhere()))
      statuses.push((await api.post(START, { to, country: 'US' })).status)
    expect(statuses).toEqual([202, ...Array(9).fill(429)])
    expect(api.enqueued).toHaveLength(1)
  })

  it('wrong codes for all of them are counted as one number’s', async () => {
    const api = victimsApi()
    const { to, wrong } = await begin(api)
    const verdicts = []
    for (const spelled of SPELLINGS(to))
      verdicts.push(
        await verdictOf(await api.post('/v1/checks', { to: spelled, country: 'US', code: wrong })),
      )
    expect(tally(verdicts)).toEqual({ wrong: 5, exhausted: 5 })
  })

  it.each(['tel:', ';ext=1', ' x1', '#1', ',1', '+', '‮'])(
    '%j around it makes it no number',
    async (extra) => {
      const to = elsewhere()
      const spelled = extra === 'tel:' || extra === '+' ? `${extra}${to}` : `${to}${extra}`
      await expectProblem(await victimsApi().post(START, { to: spelled }), 422, 'invalid_number')
    },
  )
})

describe('one code tried against many numbers:', () => {
  it('from one address ends after twenty, and the right code among the rest says nothing', async () => {
    const api = victimsApi()
    const all = await Promise.all(times(30, () => begin(api)))
    const verdicts = []
    for (const { checks, wrong } of all)
      verdicts.push(await verdictOf(await api.post(checks, { code: wrong, client_ip: '203.0.113.7' })))
    expect(tally(verdicts)).toEqual({ wrong: 20, guess_limit: 10 })
    const [last] = all.slice(-1)
    const right = await api.post(last?.checks ?? '', { code: last?.code, client_ip: '203.0.113.7' })
    await expectProblem(right, 429, 'guess_limit')
  })

  it('from an address each is stopped by what the application takes, with an alarm before', async () => {
    const wrongOfAll = {
      scope: 'application',
      counts: 'wrong_checks',
      windowMs: 3_600_000,
      mode: 'block',
    } as const
    const api = victimsApi({ guessRules: [{ name: 'application_wrong_hour', max: 10, ...wrongOfAll }] })
    const all = await Promise.all(times(12, () => begin(api)))
    const verdicts = []
    for (const [index, { checks, wrong }] of all.entries())
      verdicts.push(
        await verdictOf(await api.post(checks, { code: wrong, client_ip: `198.51.100.${index}` })),
      )
    expect(tally(verdicts)).toEqual({ wrong: 10, guess_limit: 2 })
    expect(api.lines.filter(({ msg }) => msg === 'a limit is nearly reached')).toHaveLength(1)
  })
})
