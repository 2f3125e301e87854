/**
 * The public form tells nothing of a number: whatever is known of it or held against it, a stranger who types it gets
 * the same status, the same page and the same time, when they ask for a code and when they guess one.
 */
import { describe, expect, it } from 'vitest'
import type { Verifications } from '#store/verifications.ts'
import { type Api, apiOn, FORM_APPLICATION, jsonOf } from '#test/api/api.ts'
import { listen } from '#test/api/port.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { codeOf, destinationOf, wrongFor } from '#test/fixtures/store.ts'
import type { Code } from '#verification/code.ts'
import type { Destination } from '#verification/destination.ts'
import type { Rule } from '#verification/gate.ts'
import type { VerificationId } from '#verification/verification.ts'
import { codeOnForm, elsewhere, freshPrefix, HOUR_MS, seenIn, strangerAt } from './stranger.ts'

const connection = useRedis()
const DENIED = elsewhere()
const GUESS = codeOf('012345')

/** Rules that a stranger at one address does not meet within a test. */
const prefixHour: Rule = {
  name: 'prefix_hour',
  scope: 'prefix',
  counts: 'sends',
  windowMs: HOUR_MS,
  max: 3,
  mode: 'block',
}

function formApi(options: Parameters<typeof apiOn>[1] = {}): Api {
  const lists = { allowed: [], denied: [DENIED], tests: [] }
  return apiOn(connection.redis, {
    ...options,
    config: { lists, ...options.config },
    policy: { rules: [prefixHour], wrongInARowMax: 2, ...options.policy },
  })
}

const stop = (api: Api, destination: Destination) => say(api, destination, 'stop')

async function say(api: Api, destination: Destination, keyword: 'stop' | 'start'): Promise<void> {
  const told = { keyword, sender: '+12025550199', agoMs: 0, token: `${keyword} ${destination}` }
  await api.store.suppressions.heed({ ...told, destination })
}

/** What may be known of a number, or held against it; each makes one that is. */
const KINDS: readonly [string, (api: Api) => Promise<Destination>][] = [
  ['nobody knows', async () => elsewhere()],
  [
    'an application verified a moment ago',
    async (api) => {
      const to = elsewhere()
      const { id } = await jsonOf(await api.post('/v1/verifications', { to }), 202)
      await api.post(`/v1/verifications/${id}/checks`, { code: await api.codeOf(String(id)) })
      return to
    },
  ],
  [
    'said STOP',
    async (api) => {
      const to = elsewhere()
      await stop(api, to)
      return to
    },
  ],
  ['is on the deny list', async () => DENIED],
  [
    'is disabled after too many wrong codes',
    async (api) => {
      const to = elsewhere()
      const row = api.store.keys.wrongInARow(FORM_APPLICATION, api.store.vault.tagDestination(to))
      await connection.redis.set(row, '2', 'PX', HOUR_MS)
      return to
    },
  ],
  [
    'lies in a prefix that has had its sends',
    async (api) => {
      const numberAt = freshPrefix()
      for (let index = 0; index < prefixHour.max; index++)
        await jsonOf(await api.post('/v1/verifications', { to: numberAt(index * 1_000) }), 202)
      return numberAt(9_000)
    },
  ],
]
const UNKNOWN = async () => elsewhere()

/** All a stranger can do with one number within a minute, and all they see of it. */
async function sees(api: Api, to: Destination): Promise<string[]> {
  const { ask, guess } = strangerAt(api)
  const seen = [await seenIn(await ask(to), to), await seenIn(await ask(to), to)]
  for (let tries = 1; tries <= 7; tries++) seen.push(await seenIn(await guess(to, GUESS), to))
  seen.push(await seenIn(await ask(to), to))
  return seen
}

describe('a number that', () => {
  it.each(KINDS)(
    '%s answers a request, a second one, seven guesses and a new request as any does',
    async (_, make) => {
      const api = formApi()
      const [known, other] = [await make(api), await UNKNOWN()]
      const [seen, expected] = [await sees(api, known), await sees(api, other)]
      expect(seen).toEqual(expected)
      expect(seen.map((text) => JSON.parse(text)[0])).toEqual([200, 429, ...Array(7).fill(403), 200])
    },
  )

  it.each(KINDS)('%s answers a program as any does', async (_, make) => {
    const api = formApi()
    const program = strangerAt(api, '203.0.113.9', {})
    const seen = []
    for (const to of [await make(api), await UNKNOWN()])
      seen.push([await seenIn(await program.ask(to), to), await seenIn(await program.guess(to, GUESS), to)])
    expect(seen[0]).toEqual(seen[1])
  })
})

describe('a person who said STOP, and then START', () => {
  it('is sent what they ask for next, and nobody sees a difference', async () => {
    const api = formApi({ policy: { resendWaitsMs: [0, 0, 0] } })
    const [to, other] = [elsewhere(), elsewhere()]
    const { ask } = strangerAt(api)
    await stop(api, to)
    const seen = []
    for (const number of [to, other]) {
      seen.push([await seenIn(await ask(number), number)])
      if (number === to) await say(api, to, 'start')
      seen.at(-1)?.push(await seenIn(await ask(number), number))
    }
    expect(seen[0]).toEqual(seen[1])
    const [first, second] = api.enqueued
    if (!first || !second) throw new Error('No send')
    expect(second).toEqual({ ...first, send: 2 })
    expect(await api.store.deliveries.claim(first, 'first')).toEqual({ kind: 'closed', why: 'suppressed' })
    const claim = await api.store.deliveries.claim(second, 'second')
    expect(claim).toMatchObject({ kind: 'claimed', destination: to, code: await codeOnForm(api, to) })
  })
})

describe('a guess at a number', () => {
  type Ended = (api: Api, to: Destination) => Promise<unknown>
  const asked: Ended = (api, to) => strangerAt(api, '198.51.100.1').ask(to)
  const ended: readonly [string, Ended][] = [
    ['that was never sent a code', async () => undefined],
    ['that waits for its code', asked],
    [
      'whose code was typed in',
      async (api, to) => {
        await asked(api, to)
        await strangerAt(api, '198.51.100.1').guess(to, await codeOnForm(api, to))
      },
    ],
    [
      'whose tries are used up',
      async (api, to) => {
        await asked(api, to)
        const wrong = wrongFor(await codeOnForm(api, to))
        for (let tries = 0; tries < 5; tries++) await strangerAt(api, '198.51.100.1').guess(to, wrong)
      },
    ],
    [
      'whose budget of wrong codes is spent',
      async (api, to) => {
        const kept = api.store.keys.wrongChecks(FORM_APPLICATION, api.store.vault.tagDestination(to))
        await asked(api, to)
        await connection.redis.set(
          kept,
          Array<string>(20).fill(Date.now().toString(16)).join(),
          'PX',
          HOUR_MS,
        )
      },
    ],
  ]

  it.each(ended)('%s does not tell that it is one', async (_, bring) => {
    const api = formApi()
    const [to, other] = [elsewhere(), elsewhere()]
    await bring(api, to)
    const { guess } = strangerAt(api)
    const wrong = GUESS
    expect(await seenIn(await guess(to, wrong), to)).toBe(await seenIn(await guess(other, wrong), other))
  })

  it('whose code has expired does not tell that it is one', async () => {
    const api = formApi({ policy: { codeTtlMs: 0 } })
    const [to, other] = [elsewhere(), elsewhere()]
    await asked(api, to)
    const { guess } = strangerAt(api)
    expect(await seenIn(await guess(to, GUESS), to)).toBe(await seenIn(await guess(other, GUESS), other))
  })

  it('is counted where nobody is waiting for a code as where somebody is, so that nobody goes through numbers', async () => {
    const api = formApi()
    const { guess } = strangerAt(api)
    const statuses = []
    for (let tries = 1; tries <= 22; tries++) statuses.push((await guess(elsewhere(), GUESS)).status)
    expect(statuses).toEqual([...Array(20).fill(403), 429, 429])
    const waiting = elsewhere()
    await asked(api, waiting)
    const refused = await seenIn(await guess(waiting, GUESS), waiting)
    const other = elsewhere()
    expect(refused).toBe(await seenIn(await guess(other, GUESS), other))
  })

  it('that hops through a network of IPv6 is counted for the network', async () => {
    const api = formApi()
    const statuses = []
    for (let line = 0; line < 102; line++)
      statuses.push((await strangerAt(api, `2001:db8:7:${line}::1`).guess(elsewhere(), GUESS)).status)
    expect(statuses).toEqual([...Array(100).fill(403), 429, 429])
  })
})

describe('the challenge for a neighbour’s number', () => {
  const range: Rule = {
    name: 'range',
    scope: 'range',
    counts: 'numbers',
    windowMs: HOUR_MS,
    max: 3,
    mode: 'challenge',
  }

  it.each(KINDS.filter(([kind]) => /STOP|deny list|disabled/.test(kind)))(
    'comes as soon after a number that %s, so the range does not give it away',
    async (_, make) => {
      const api = formApi({ policy: { rules: [range] } })
      const { ask } = strangerAt(api)
      const held = await make(api)
      const neighbour = (digits: string) => held.slice(0, -3) + digits
      const statuses = []
      for (const to of [neighbour('101'), neighbour('102'), held, neighbour('103')])
        statuses.push((await ask(to)).status)
      expect(statuses).toEqual([200, 200, 200, 429])
    },
  )
})

describe('a limit that is reached', () => {
  const kinds = KINDS.filter(([kind]) => /nobody|STOP|deny list|disabled/.test(kind))
  const limit = (scope: Rule['scope'], max: number): Rule => ({
    name: `${scope}_test`,
    scope,
    counts: 'sends',
    windowMs: HOUR_MS,
    max,
    mode: 'block',
  })

  it.each(kinds)(
    'after a number that %s, holds back the same SMS to somebody’s own phone',
    async (_, make) => {
      const api = formApi({ policy: { rules: [limit('prefix', 4)] } })
      const asked = await make(api)
      const own = (digits: string) => destinationOf(asked.slice(0, -3) + digits)
      const { ask } = strangerAt(api)
      const states = []
      for (const to of [own('101'), own('102'), asked, own('103'), own('104')]) {
        await ask(to)
        const { verification } = api.enqueued.at(-1) ?? { verification: '' as VerificationId }
        const key = api.store.keys.verification(FORM_APPLICATION, verification)
        if (to !== asked) states.push(await connection.redis.hget(key, '1:state'))
      }
      expect(states).toEqual(['queued', 'queued', 'queued', 'suppressed'])
    },
  )

  it.each(kinds)(
    'after a number that %s, is told at the same start where it is the whole form’s',
    async (_, make) => {
      const api = formApi({ policy: { rules: [limit('form', 3)] } })
      const asked = await make(api)
      const { ask } = strangerAt(api)
      const statuses = []
      for (const to of [elsewhere(), asked, elsewhere(), elsewhere()]) statuses.push((await ask(to)).status)
      expect(statuses).toEqual([200, 200, 200, 429])
    },
  )
})

describe('the challenge for a prefix whose codes are not typed in', () => {
  const low: Rule = {
    name: 'low',
    scope: 'prefix',
    counts: 'conversion',
    windowMs: 24 * HOUR_MS,
    belowPercent: 51,
    minimum: 4,
    mode: 'challenge',
  }

  it.each(KINDS.filter(([kind]) => /nobody|STOP|deny list|disabled/.test(kind)))(
    'comes as soon after a number that %s, so half of it typed in does not give it away',
    async (_, make) => {
      const api = formApi({ policy: { rules: [low], guessRules: [] } })
      const { ask, guess } = strangerAt(api)
      const unknown = await make(api)
      const neighbour = (digits: string) => destinationOf(unknown.slice(0, -3) + digits)
      const statuses = []
      for (const to of [neighbour('101'), neighbour('102'), neighbour('103'), unknown]) {
        statuses.push((await ask(to)).status)
        const send = api.enqueued.at(-1)
        if (send) await api.store.deliveries.claim(send, `token ${to}`)
        const right = /10[12]$/.test(to)
        const codes = right ? [await codeOnForm(api, to)] : Array<Code>(5).fill(GUESS)
        for (const code of codes) await guess(to, code)
      }
      statuses.push((await ask(neighbour('104'))).status)
      expect(statuses).toEqual([200, 200, 200, 200, 429])
    },
  )
})

describe('the time of an answer', () => {
  const SLOW_MS = 60
  const WAIT_MS = 200

  /** A store that takes long over what has been held against a number, and over what is pending. */
  const slowOver =
    (slow: Set<string>) =>
    (verifications: Verifications): Verifications => {
      const late = async <T>(to: string, answer: Promise<T>): Promise<T> => {
        if (slow.has(to)) await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
        return answer
      }
      return {
        ...verifications,
        start: (request) => late(request.destination, verifications.start(request)),
        checkDestination: (request) => late(request.destination, verifications.checkDestination(request)),
      }
    }

  const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0

  async function timed(answer: () => Promise<Response>): Promise<number> {
    const began = performance.now()
    await (await answer()).text()
    return performance.now() - began
  }

  it.each(['/request-auth', '/validate-auth'])(
    'of %s is the same for a number that takes more work',
    async (path) => {
      const slow = new Set<string>()
      const api = formApi({
        policy: { rules: [], guessRules: [] },
        before: slowOver(slow),
        formAnswerMs: WAIT_MS,
      })
      const times: { slow: number[]; quick: number[] } = { slow: [], quick: [] }
      const rounds = Array.from({ length: 11 }, (_, round) => round)
      for (const round of rounds) {
        const [one, other] = [elsewhere(), elsewhere()]
        slow.add(one)
        const { ask, guess } = strangerAt(api)
        const post = (to: Destination) => timed(() => (path === '/request-auth' ? ask(to) : guess(to, GUESS)))
        const order = round % 2 === 0 ? [one, other] : [other, one]
        const taken = await Promise.all(order.map(post))
        times.slow.push(taken[order.indexOf(one)] ?? 0)
        times.quick.push(taken[order.indexOf(other)] ?? 0)
      }
      expect(Math.abs(median(times.slow) - median(times.quick))).toBeLessThan(SLOW_MS / 3)
    },
  )

  it.each(KINDS)('of a number that %s is never under what all are given', async (_, make) => {
    const api = formApi({ formAnswerMs: WAIT_MS })
    const to = await make(api)
    const { ask, guess } = strangerAt(api)
    const answers = [() => ask(to), () => guess(to, GUESS)]
    for (const answer of answers) expect(await timed(answer)).toBeGreaterThanOrEqual(WAIT_MS - 1)
  })

  it('begins when the number is known, so a body that comes slowly does not use it up', async () => {
    const api = formApi({ formAnswerMs: WAIT_MS })
    const { origin } = await listen(api.app)
    let sentAt = 0
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(Buffer.from(`auth_code=${GUESS}&`))
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS))
        controller.enqueue(Buffer.from(`number=${encodeURIComponent(elsewhere())}`))
        sentAt = performance.now()
        controller.close()
      },
    })
    const response = await fetch(`${origin}/validate-auth`, {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    } as RequestInit)
    expect(response.status).toBe(403)
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(WAIT_MS - 5)
  })
})
