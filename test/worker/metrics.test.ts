/** What the lines of a worker count as. */
import { describe, expect, it } from 'vitest'
import type { LogFields } from '#runtime/log.ts'
import { createMetrics } from '#runtime/metrics.ts'
import { countedByWorker, watchWorker } from '#worker/metrics.ts'

async function countedOf(lines: readonly [message: string, fields: LogFields][]): Promise<string[]> {
  const metrics = createMetrics()
  const counted = countedByWorker(metrics)
  for (const [message, fields] of lines) counted[message]?.(fields)
  const samples = (await metrics.text()).split('\n').filter((line) => line.startsWith('sms2fa_'))
  return samples.filter((line) => !/_bucket|(_seconds_(count|sum)|_unsent_total\{.*\}) 0$/.test(line))
}

const attempt = {
  provider: 'signalwire-relay',
  outcome: 'accepted',
  attempt: 1,
  queued_ms: 40,
  duration_ms: 20,
}

describe('an attempt', () => {
  it('counts by provider, outcome and reason, with its time and, once accepted, that since its order', async () => {
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
      'sms2fa_accepted_after_seconds_sum 0.06',
      'sms2fa_accepted_after_seconds_count 1',
    ])
  })

  it('that a shared limit kept from being a second message counts as that', async () => {
    const refused = { application: 'shop', refusal: 'spend_limit', limit: 'overall_spend_day' }
    expect(await countedOf([['second message refused', refused]])).toEqual([
      'sms2fa_second_messages_refused_total{application="shop",refusal="spend_limit",limit="overall_spend_day"} 1',
    ])
  })
})

describe('a send that ends unsent', () => {
  it('counts by why, alone or many together', async () => {
    expect(
      await countedOf([
        ['ended unsent', { reason: 'not_sent_in_time', count: 5 }],
        ['ended unsent', { reason: 'not_sent_in_time' }],
        ['ended unsent', { reason: 'recipient_opted_out' }],
      ]),
    ).toEqual([
      'sms2fa_sends_unsent_total{reason="not_sent_in_time"} 6',
      'sms2fa_sends_unsent_total{reason="recipient_opted_out"} 1',
    ])
  })
})

it('a counter that an alarm asks for is told before it counts', async () => {
  const metrics = createMetrics()
  countedByWorker(metrics)
  expect(await metrics.text()).toContain('sms2fa_sends_unsent_total{reason="not_sent_in_time"} 0\n')
})

describe('an event', () => {
  it.each([
    ['event taken', 'taken'],
    ['event not taken', 'not_taken'],
    ['event given up', 'given_up'],
    ['the receiver wants no more events', 'gone'],
    ['event dropped', 'dropped'],
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

describe('what is looked up', () => {
  it('is each provider as it is now, and what waits', async () => {
    const metrics = createMetrics()
    let states = [{ name: 'signalwire-relay', ready: false, leftAlone: false }]
    watchWorker(metrics, {
      isReady: async () => false,
      canSend: () => true,
      states: () => states,
      jobs: async () => ({ waiting: 3 }),
      events: async () => 7,
    })
    const samples = async () =>
      (await metrics.text()).split('\n').filter((line) => line.startsWith('sms2fa_'))
    expect(await samples()).toEqual([
      'sms2fa_ready 0',
      'sms2fa_provider_can_send 1',
      'sms2fa_provider_ready{provider="signalwire-relay"} 0',
      'sms2fa_provider_left_alone{provider="signalwire-relay"} 0',
      'sms2fa_jobs{state="waiting"} 3',
      'sms2fa_events_waiting 7',
    ])
    states = [{ name: 'signalwire-relay', ready: true, leftAlone: true }]
    expect(await samples()).toContain('sms2fa_provider_ready{provider="signalwire-relay"} 1')
    expect(await samples()).toContain('sms2fa_provider_left_alone{provider="signalwire-relay"} 1')
  })
})
