/** One event told once: what each answer of the receiver comes to, and until when it is told again. */
import { describe, expect, it } from 'vitest'
import type { LogFields } from '#runtime/log.ts'
import type { Event, Told } from '#verification/event.ts'
import type { Application, Channel, Purpose, VerificationId } from '#verification/verification.ts'
import type { Posted } from '#webhooks/post.ts'
import { createTell } from '#worker/tell.ts'

const AT = Date.parse('2026-11-24T09:30:00.000Z')
const HOUR = 3_600_000
const event: Event = {
  type: 'send.delivered',
  timestamp: new Date(AT).toISOString(),
  data: {
    verification: '3f2a1b4c5d6e4f708a9b0c1d2e3f4a5b' as VerificationId,
    application: 'shop' as Application,
    purpose: 'login' as Purpose,
    channel: 'sms' as Channel,
    to: '+*******0143',
    send: 2,
    status: 'delivered',
    attempts: 1,
    possible_duplicate: false,
    queued_at: new Date(AT).toISOString(),
  },
}
const told: Told = { id: 'evt_0123456789abcdef0123456789abcdef', event }

type Line = LogFields & { level: string; msg: string }

function telling(posted: Posted | (() => Posted), { now = AT, random = 0.999999 } = {}) {
  const lines: Line[] = []
  const posts: { id: string; body: string; atMs: number }[] = []
  const gone = new Set<string>()
  const keep = (level: string) => (fields: LogFields, msg: string) =>
    void lines.push({ ...fields, level, msg })
  const stop = new AbortController()
  const tell = createTell({
    post: async (webhook) => {
      posts.push(webhook)
      return typeof posted === 'function' ? posted() : posted
    },
    outbox: { isGone: async (name) => gone.has(name), setGone: async (name) => void gone.add(name) },
    receiver: 'there',
    log: { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') },
    random: () => random,
    now: () => now,
  })
  return { lines, posts, gone, stop, tell: (tries = 1) => tell(told, tries, stop.signal) }
}

const refused = (status: number, retryAfterMs?: number): Posted => ({
  kind: 'refused',
  status,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
})

describe('an event', () => {
  it('that is taken is told no more, and one line says so without a number', async () => {
    const t = telling({ kind: 'taken', status: 204 })
    expect(await t.tell(3)).toEqual({ kind: 'closed' })
    expect(t.posts).toEqual([{ id: told.id, body: JSON.stringify(event), atMs: AT }])
    expect(t.lines).toEqual([
      {
        level: 'info',
        msg: 'event taken',
        event: 'send.delivered',
        event_id: told.id,
        application: 'shop',
        verification: event.data.verification,
        destination: '+*******0143',
        send: 2,
        attempt: 3,
        status: 204,
        duration_ms: expect.any(Number),
      },
    ])
  })

  it.each([
    [1, 5_000],
    [2, 15_000],
    [3, 45_000],
    [4, 135_000],
    [5, 405_000],
    [6, 900_000],
    [7, 900_000],
    [200, 900_000],
  ])('not taken by try %i is told again after %i ms at most, and half of it at least', async (tries, ms) => {
    const longest = await telling(refused(500), { random: 1 }).tell(tries)
    const shortest = await telling(refused(500), { random: 0 }).tell(tries)
    expect([shortest, longest]).toEqual([
      { kind: 'again', waitMs: Math.round(ms / 2) },
      { kind: 'again', waitMs: ms },
    ])
  })

  it.each<[string, Posted, object]>([
    ['a status', refused(302), { status: 302 }],
    ['a fault', { kind: 'failed', reason: 'address_not_allowed' }, { reason: 'address_not_allowed' }],
  ])('not taken for %s says why in one line', async (_, posted, fields) => {
    const t = telling(posted)
    expect(await t.tell()).toMatchObject({ kind: 'again' })
    expect(t.lines).toHaveLength(1)
    expect(t.lines[0]).toMatchObject({ level: 'info', msg: 'event not taken', ...fields })
  })

  it.each([
    [60_000, 60_000],
    [1_000, 5_000],
    [HOUR, HOUR],
    [HOUR + 1, HOUR],
    [365 * 24 * HOUR, HOUR],
  ])(
    'is told again after Retry-After of %i ms where that is longer than our wait, and within an hour',
    async (wished, waitMs) => {
      expect(await telling(refused(503, wished), { random: 1 }).tell()).toEqual({ kind: 'again', waitMs })
    },
  )

  it.each([
    [24 * HOUR - 5_001, 'again'],
    [24 * HOUR - 5_000, 'closed'],
    [24 * HOUR, 'closed'],
  ])('is told for a day: %i ms after it happened the next try is %s', async (ageMs, kind) => {
    const t = telling(refused(500), { now: AT + ageMs, random: 1 })
    expect(await t.tell()).toMatchObject({ kind })
    expect(t.lines[0]?.msg).toBe(kind === 'again' ? 'event not taken' : 'event given up')
  })

  /** Times after the event of all its tries, the receiver answering as it likes. */
  async function triesOf(answer: (ageMs: number) => Posted, random: number) {
    const ages: number[] = []
    for (let ageMs = 0; ; ) {
      ages.push(ageMs)
      const come = await telling(answer(ageMs), { now: AT + ageMs, random }).tell(ages.length)
      if (come.kind === 'closed') return ages
      ageMs += come.waitMs
    }
  }

  it.each([
    ['the shortest waits', 0, () => refused(500), 15],
    ['waits as they come', 0.5, () => refused(404), 15],
    ['the longest waits', 0.999999, () => refused(302), 15],
    ['a Retry-After of a year each time', 0.5, () => refused(503, 365 * 24 * HOUR), 60],
    ['a Retry-After of no time', 0, () => refused(429, 0), 15],
  ])(
    'with %s is tried for the whole day, and a bounded number of times',
    async (_, random, answer, minutes) => {
      const ages = await triesOf(answer, random)
      expect(ages.at(-1)).toBeGreaterThanOrEqual(24 * HOUR - minutes * 60_000)
      expect(ages.at(-1)).toBeLessThan(24 * HOUR)
      expect(ages.length).toBeLessThan(200)
    },
  )

  it.each([0, 0.5, 0.999999])(
    'of an hour in which the receiver was down is told within a quarter of an hour of its return (random %d)',
    async (random) => {
      for (let minute = 0; minute < 60; minute += 1) {
        const backAfterMs = HOUR - minute * 60_000
        const ages = await triesOf(
          (ageMs) => (ageMs < backAfterMs ? refused(503) : { kind: 'taken', status: 204 }),
          random,
        )
        expect(ages.at(-1)).toBeLessThan(backAfterMs + 15 * 60_000)
      }
    },
  )

  it('after a 410 is the last one told to that receiver', async () => {
    const t = telling({ kind: 'gone', status: 410 })
    expect(await t.tell()).toEqual({ kind: 'closed' })
    expect(await t.tell()).toEqual({ kind: 'closed' })
    expect(t.posts).toHaveLength(1)
    expect(t.lines.map(({ level, msg }) => `${level} ${msg}`)).toEqual([
      'error the receiver wants no more events',
      'debug event dropped',
    ])
  })

  it('cut off by our own stop is left to the next worker at once', async () => {
    const t = telling(() => {
      t.stop.abort()
      return { kind: 'failed', reason: 'timeout' }
    })
    expect(await t.tell()).toEqual({ kind: 'again', waitMs: 0 })
    expect(t.lines).toEqual([])
  })
})
