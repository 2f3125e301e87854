/** The judge of a chaos run is judged: each promise, broken in one way, is told as broken, and a good history is not. */
import { describe, expect, it } from 'vitest'
import type { Arrived, Call, Check, History, Known, View } from './history.ts'
import { brokenPromises } from './promises.ts'

const BEGUN = Date.parse('2026-01-01T00:00:00Z')
const iso = (ms: number) => new Date(BEGUN + ms).toISOString()
const ID = 'a'.repeat(32)
const TO = '+12025550100'

const answered = (more: Partial<Call> = {}): Call => ({
  what: 'check',
  askedAtMs: BEGUN + 2_000,
  tookMs: 10,
  status: 200,
  ...more,
})
const checked = (result: string, key: string, code = '123456', call = answered()): Check => ({
  call,
  key,
  code,
  result,
})
const message = (atMs: number, more: Partial<Arrived> = {}): Arrived => ({
  reference: `default/${ID}/1`,
  to: TO,
  body: '123456 is your code',
  atMs: BEGUN + atMs,
  road: 'websocket',
  ...more,
})
type Send = View['sends'][number]
const send = (more: Partial<Send> = {}): Send => ({
  send: 1,
  status: 'delivered',
  queued_at: iso(0),
  timeline: [{ attempt: 1, outcome: 'accepted', started_at: iso(20) }],
  possible_duplicate: false,
  ...more,
})
const view = (sends: Send[], status = 'pending'): View => ({
  status,
  created_at: iso(0),
  expires_at: iso(120_000),
  sends,
})
const twice: Send = send({
  possible_duplicate: true,
  timeline: [
    { attempt: 1, outcome: 'unknown', started_at: iso(20) },
    { attempt: 2, outcome: 'accepted', started_at: iso(12_000) },
  ],
})

const history = (known: Partial<Known>, arrived: Arrived[], calls: Call[] = []): History => ({
  known: [{ id: ID, to: TO, checks: [], view: view([send()]), ...known }],
  arrived,
  calls,
  stops: [],
})

describe('a history in which', () => {
  it.each<[string, History]>([
    [
      'a code arrives and is approved',
      history(
        {
          checks: [checked('wrong', 'a', '000000'), checked('approved', 'b')],
          view: view([send()], 'approved'),
        },
        [message(50)],
      ),
    ],
    [
      'an approval is told again to the same key',
      history(
        { checks: [checked('approved', 'b'), checked('approved', 'b')], view: view([send()], 'approved') },
        [message(50)],
      ),
    ],
    ['an unknown send goes out twice', history({ view: view([twice]) }, [message(50), message(12_050)])],
    [
      'a message in hand arrives after a cancellation',
      history({ endedAtMs: BEGUN + 30, view: view([send()], 'canceled') }, [message(1_500)]),
    ],
    ['Redis is away', history({}, [message(50)], [answered({ status: 503, retryAfter: '1', tookMs: 600 })])],
  ])('%s is a good one', (_, good) => {
    expect(brokenPromises(good)).toEqual([])
  })

  const expired = { view: view([send({ status: 'expired', timeline: [] })], 'expired') }
  it('a send runs out of time while something is broken is a good one', () => {
    expect(brokenPromises({ ...history(expired, []), healedAtMs: BEGUN + 30_000 })).toEqual([])
  })

  /** The busy number's: the provider itself says no, twice, after all is well. */
  const refused = (attempt: number, startedAt: number) => ({
    attempt,
    outcome: 'busy',
    reason: 'rate_limited',
    started_at: iso(startedAt),
  })
  const twiceRefused = {
    view: view([send({ status: 'expired', timeline: [refused(5, 30_000), refused(6, 31_500)] })], 'expired'),
  }
  it('a send that the provider itself put off twice runs out of time is a good one', () => {
    expect(brokenPromises({ ...history(twiceRefused, []), healedAtMs: BEGUN + 21_000 })).toEqual([])
  })
  it('and is none when it had more time than the two waits take', () => {
    const broken = brokenPromises({ ...history(twiceRefused, []), healedAtMs: BEGUN + 20_999 })
    expect(broken).toEqual([expect.stringContaining('P4 it expired though nothing was wrong any more')])
  })

  const stop = { to: TO, fromMs: BEGUN + 5_000, untilMs: BEGUN + 30_000 }
  const end = { type: 'verification.approved', verification: ID, signed: true }
  const approved = {
    checks: [checked('approved', 'b')],
    view: view([send()], 'approved'),
  }
  it.each<[string, Partial<History>]>([
    ['it is told twice', { told: [end, end] }],
    ['its number says STOP after it was sent', { stops: [stop] }],
    [
      'its number said STOP, and START before it was sent',
      { stops: [{ ...stop, fromMs: BEGUN - 9_000, untilMs: BEGUN }] },
    ],
  ])('a code is approved and %s is a good one', (_, more) => {
    expect(brokenPromises({ ...history(approved, [message(50)]), ...more })).toEqual([])
  })

  const overdue = send({ timeline: [{ attempt: 1, outcome: 'accepted', started_at: iso(61_900) }] })
  it.each<[string, string, History]>([
    [
      'P1',
      'two keys are approved',
      history(
        { checks: [checked('approved', 'a'), checked('approved', 'b')], view: view([send()], 'approved') },
        [message(50)],
      ),
    ],
    [
      'P1',
      'a code is approved that was not sent',
      history({ checks: [checked('approved', 'a', '654321')], view: view([send()], 'approved') }, [
        message(50),
      ]),
    ],
    ['P1', 'an approval is forgotten', history({ checks: [checked('approved', 'a')] }, [message(50)])],
    [
      'P2',
      'six wrong codes are taken',
      history({ checks: [1, 2, 3, 4, 5, 6].map((at) => checked('wrong', `${at}`)) }, [message(50)]),
    ],
    [
      'P3',
      'a code is approved after its time',
      history(
        {
          checks: [checked('approved', 'a', '123456', answered({ askedAtMs: BEGUN + 122_000 }))],
          view: view([send()], 'approved'),
        },
        [message(50)],
      ),
    ],
    [
      'P4',
      'a start is taken and never seen again',
      { ...history({}, []), known: [{ id: ID, to: TO, checks: [] }] },
    ],
    [
      'P4',
      'a send runs out of time though all was well for long enough',
      { ...history(expired, []), healedAtMs: BEGUN + 20_000 },
    ],
    [
      'P4',
      'a send that the provider put off once runs out of time though there was enough for that',
      {
        ...history(
          { view: view([send({ status: 'expired', timeline: [refused(1, 11_000)] })], 'expired') },
          [],
        ),
        healedAtMs: BEGUN + 5_000,
      },
    ],
    [
      'P4',
      'a send runs out of time because we were not connected, though all was well',
      {
        ...history(
          {
            view: view(
              [send({ status: 'expired', timeline: [{ ...refused(1, 30_000), reason: 'not_connected' }] })],
              'expired',
            ),
          },
          [],
        ),
        healedAtMs: BEGUN + 20_000,
      },
    ],
    [
      'P5',
      'three messages leave',
      history({ view: view([twice]) }, [message(50), message(12_050), message(12_060)]),
    ],
    [
      'P5',
      'two messages leave and none was unknown',
      history({ view: view([send({ possible_duplicate: true })]) }, [message(50), message(60)]),
    ],
    [
      'P5',
      'the second message has another code',
      history({ view: view([twice]) }, [message(50), message(12_050, { body: '654321 is your code' })]),
    ],
    ['P5', 'a code arrives somewhere else', history({}, [message(50, { to: '+12025550199' })])],
    ['P5', 'a code arrives that names no send', history({}, [message(50), message(60, { reference: '' })])],
    ['P6', 'a message leaves in the last minute', history({ view: view([overdue]) }, [message(61_950)])],
    ['P6', 'a message leaves long after its claim', history({}, [message(20_000)])],
    [
      'P6',
      'an attempt begins after a cancellation',
      history({ endedAtMs: BEGUN + 5_000, view: view([twice], 'canceled') }, [message(50), message(12_050)]),
    ],
    [
      'P6',
      'an attempt begins after a newer send was ordered',
      history({ view: view([twice, send({ send: 2, queued_at: iso(5_000), status: 'accepted' })]) }, [
        message(50),
        message(12_050),
      ]),
    ],
    [
      'P6',
      'an attempt begins between STOP and START',
      { ...history({ view: view([twice]) }, [message(50), message(12_050)]), stops: [stop] },
    ],
    [
      'P7',
      'an end is never told',
      { ...history(approved, [message(50)]), told: [{ ...end, type: 'send.delivered' }] },
    ],
    [
      'P7',
      'an end is told with a wrong signature',
      { ...history(approved, [message(50)]), told: [{ ...end, signed: false }] },
    ],
    [
      'P8',
      'anything is told with a wrong signature',
      { ...history(approved, [message(50)]), told: [end, { ...end, signed: false }] },
    ],
    ['P7', 'a send stays queued', history({ view: view([send({ status: 'queued', timeline: [] })]) }, [])],
    [
      'P7',
      'a message arrives of a send told as expired',
      history({ view: view([send({ status: 'expired' })]) }, [message(50)]),
    ],
    ['P7', 'no message arrives of a send told as delivered', history({}, [])],
    [
      'P7',
      'two messages leave without a word of it',
      history({ view: view([{ ...twice, possible_duplicate: false }]) }, [message(50), message(12_050)]),
    ],
    [
      'P9',
      'an answer takes longer than two seconds',
      history({}, [message(50)], [answered({ tookMs: 3_100 })]),
    ],
    ['P9', 'a call is answered 500', history({}, [message(50)], [answered({ status: 500 })])],
    [
      'P9',
      'a 503 does not say when to come back',
      history({}, [message(50)], [answered({ status: 503, retryAfter: null })]),
    ],
  ])('%s: %s is told as broken', (promise, _, bad) => {
    expect(brokenPromises(bad).map((what) => what.slice(0, 2))).toContain(promise)
  })
})
