/** What the lines of the API count as. */
import { describe, expect, it } from 'vitest'
import { countedByApi } from '#api/metrics.ts'
import type { LogFields } from '#runtime/log.ts'
import { createMetrics } from '#runtime/metrics.ts'

async function countedOf(lines: readonly [message: string, fields: LogFields][]): Promise<string[]> {
  const metrics = createMetrics()
  const counted = countedByApi(metrics)
  for (const [message, fields] of lines) counted[message]?.(fields)
  const samples = (await metrics.text()).split('\n').filter((line) => line.startsWith('sms2fa_'))
  return samples.filter((line) => !/_bucket|_sum/.test(line))
}

const start = { method: 'POST', route: '/v1/verifications', duration_ms: 4.2, application: 'shop' }
const check = { method: 'POST', route: '/v1/verifications/:id/checks', status: 200, application: 'shop' }

describe('a request', () => {
  it('is one by its method, route and status', async () => {
    expect(
      await countedOf([
        ['request', { ...start, status: 202 }],
        ['request', { ...start, status: 202, application: 'bank' }],
      ]),
    ).toEqual([
      'sms2fa_request_duration_seconds_count{method="POST",route="/v1/verifications",status="202"} 2',
    ])
  })

  it('of a method that the API does not serve is one of the others', async () => {
    const made = (method: string): [string, LogFields] => ['request', { ...start, method, status: 405 }]
    expect(await countedOf([made('PROPFIND'), made('M-SEARCH')])).toEqual([
      'sms2fa_request_duration_seconds_count{method="other",route="/v1/verifications",status="405"} 2',
    ])
  })

  it('that is refused says by what', async () => {
    const refused = { ...start, status: 429, refusal: 'traffic_limit', limit: 'region_day' }
    expect(await countedOf([['request', refused]])).toContain(
      'sms2fa_refusals_total{application="shop",refusal="traffic_limit",limit="region_day"} 1',
    )
  })

  it.each(['/v1/verifications/:id/checks', '/v1/checks', '/validate-auth'])(
    'at %s counts its verdict',
    async (route) => {
      expect(await countedOf([['request', { ...check, route, result: 'wrong' }]])).toContain(
        'sms2fa_checks_total{application="shop",result="wrong"} 1',
      )
    },
  )

  it('that is a check and refused counts as a refusal alone', async () => {
    const refused = { ...check, status: 429, refusal: 'check_limit', result: 'wrong' }
    expect((await countedOf([['request', refused]])).join()).not.toContain('checks_total')
  })

  it('of a callback counts no verdict', async () => {
    const callback = { ...check, route: '/callbacks/signalwire', result: 'delivered' }
    expect((await countedOf([['request', callback]])).join()).not.toContain('checks_total')
  })
})

describe('what never was a request', () => {
  it('counts by why', async () => {
    expect(
      await countedOf([
        ['refused before it was a request', { reason: 'two_hosts', status: 400 }],
        ['connections refused, there are MAX_CONNECTIONS of them', { count: 7 }],
      ]),
    ).toEqual([
      'sms2fa_refused_before_request_total{reason="two_hosts"} 1',
      'sms2fa_refused_before_request_total{reason="too_many_connections"} 7',
    ])
  })
})
