/** What the lines of a worker count as. */
import { describe, expect, it } from 'vitest'
import type { LogFields } from '#runtime/log.ts'
import { createMetrics } from '#runtime/metrics.ts'
import { countedByWorker } from '#worker/metrics.ts'

async function countedOf(lines: readonly [message: string, fields: LogFields][]): Promise<string[]> {
  const metrics = createMetrics()
  const counted = countedByWorker(metrics)
  for (const [message, fields] of lines) counted[message]?.(fields)
  const samples = (await metrics.text()).split('\n').filter((line) => line.startsWith('sms2fa_'))
  return samples.filter((line) => !/_bucket|_seconds_(count|sum) 0$/.test(line))
}

const attempt = {
  provider: 'signalwire-relay',
  outcome: 'accepted',
  attempt: 1,
  queued_ms: 40,
  duration_ms: 20,
}

describe('an attempt', () => {
  it('counts by provider, outcome and reason, with its time and, the first, how long its send had waited', async () => {
    const busy = { ...attempt, outcome: 'busy', reason: 'rate_limited', attempt: 2, queued_ms: 900 }
    expect(
      await countedOf([
        ['attempt', attempt],
        ['attempt', busy],
      ]),
    ).toEqual([
      'sms2fa_attempts_total{provider="signalwire-relay",outcome="accepted",reason=""} 1',
      'sms2fa_attempts_total{provider="signalwire-relay",outcome="busy",reason="rate_limited"} 1',
      'sms2fa_attempt_duration_seconds_sum{provider="signalwire-relay",outcome="accepted"} 0.02',
      'sms2fa_attempt_duration_seconds_count{provider="signalwire-relay",outcome="accepted"} 1',
      'sms2fa_attempt_duration_seconds_sum{provider="signalwire-relay",outcome="busy"} 0.02',
      'sms2fa_attempt_duration_seconds_count{provider="signalwire-relay",outcome="busy"} 1',
      'sms2fa_first_attempt_wait_seconds_sum 0.04',
      'sms2fa_first_attempt_wait_seconds_count 1',
    ])
  })

  it('that a shared limit kept from being a second message counts as that', async () => {
    const refused = { application: 'shop', refusal: 'spend_limit', limit: 'overall_spend_day' }
    expect(await countedOf([['second message refused', refused]])).toEqual([
      'sms2fa_second_messages_refused_total{application="shop",refusal="spend_limit",limit="overall_spend_day"} 1',
    ])
  })
})

describe('an event', () => {
  it.each([
    ['event taken', 'taken'],
    ['event not taken', 'not_taken'],
    ['event given up', 'given_up'],
  ])('of the line %j counts as %s', async (message, result) => {
    expect(await countedOf([[message, { event: 'send.delivered' }]])).toEqual([
      `sms2fa_events_total{event="send.delivered",result="${result}"} 1`,
    ])
  })
})

describe('an answer to a keyword', () => {
  it('counts by what it came to', async () => {
    expect(
      await countedOf([
        ['answer', { keyword: 'help', outcome: 'accepted' }],
        ['answer', { keyword: 'help', refusal: 'spend_limit' }],
      ]),
    ).toEqual([
      'sms2fa_keyword_answers_total{keyword="help",outcome="accepted"} 1',
      'sms2fa_keyword_answers_total{keyword="help",outcome=""} 1',
    ])
  })
})

describe('a provider', () => {
  it('is as it last said, and so is its breaker', async () => {
    const says = (provider: string, result: string): [string, LogFields] => ['provider', { provider, result }]
    expect(
      await countedOf([
        says('signalwire-relay', 'ready'),
        says('signalwire-rest', 'ready'),
        says('signalwire-relay', 'breaker_open'),
        says('signalwire-relay', 'unreachable'),
        says('signalwire-rest', 'breaker_open'),
        says('signalwire-rest', 'breaker_closed'),
      ]),
    ).toEqual([
      'sms2fa_provider_ready{provider="signalwire-relay"} 0',
      'sms2fa_provider_ready{provider="signalwire-rest"} 1',
      'sms2fa_provider_breaker_open{provider="signalwire-relay"} 1',
      'sms2fa_provider_breaker_open{provider="signalwire-rest"} 0',
    ])
  })
})
