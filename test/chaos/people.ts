/** People and the application between: they ask for codes, type them right and wrong, ask again, cancel and leave. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { arrivalOf, type Call, codeIn, type History, type Known, type Stop, type View } from './history.ts'
import type { Person } from './plan.ts'
import { endsTold, isUntold } from './promises.ts'
import type { World } from './world.ts'

/** How often an application asks again when it got no answer or a 503, and how long it waits between. */
const TRIES = 4
const AGAIN_MS = 1_500
/** How long somebody looks at their phone. */
const PATIENCE_MS = 20_000
/** The first resend may follow 30 s after the start. */
const RESEND_AFTER_MS = 30_500
/** After the end of a code everything about it has come to rest. */
const REST_MS = 5_000
const CALL_MS = 30_000
/** How often somebody writes STOP, or START, until it is heeded: what is written while nobody listens is lost. */
const WRITES = 8
const WRITES_AGAIN_MS = 2_000
/** The fourth try of an event comes 65 s after the first; the waits of a queue that was long away, and a slow machine. */
const TOLD_WITHIN_MS = 150_000

type Answer = { call: Call; body: Record<string, unknown> }

const AT_REST = ['accepted', 'delivered', 'undelivered', 'failed', 'rejected', 'expired', 'canceled']
const atRest = ({ status, sends }: View) =>
  sends.every(
    (send) =>
      AT_REST.includes(send.status) ||
      ['superseded', 'suppressed'].includes(send.status) ||
      (send.status === 'unknown' && (status !== 'pending' || send.possible_duplicate)),
  )

export function createPeople(world: World, options: { broken: (what: string) => void; healed: AbortSignal }) {
  const history: History = { calls: [], known: [], arrived: [], stops: [], told: world.receiver.told }
  const { broken, healed } = options

  /** One call. The one thing an API may not do while it is there is to give no answer. */
  async function call(
    what: Call['what'],
    api: 0 | 1,
    request: { method: string; path: string; body?: unknown; key?: string },
  ): Promise<Answer> {
    const askedAtMs = Date.now()
    const startedAt = performance.now()
    const call: Call = { what, askedAtMs, tookMs: 0 }
    let body: Record<string, unknown> = {}
    try {
      const response = await fetch(`${world.apis[api].url}${request.path}`, {
        method: request.method,
        headers: {
          'Content-Type': 'application/json',
          ...(request.key === undefined ? {} : { 'Idempotency-Key': request.key }),
        },
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
        signal: AbortSignal.timeout(CALL_MS),
      })
      const text = await response.text()
      body = text === '' ? {} : JSON.parse(text)
      call.status = response.status
      call.retryAfter = response.headers.get('Retry-After')
      if (typeof body.code === 'string') call.problem = body.code
    } catch (error) {
      if (!world.apis[api].awayBetween(askedAtMs, Date.now()))
        broken(`P9 ${what}: no answer from an API that was there (${error})`)
    }
    call.tookMs = performance.now() - startedAt
    history.calls.push(call)
    return { call, body }
  }

  /** As a careful application does it: the same call again, at the other API, while there is no answer but a 503. */
  async function insist(
    what: Call['what'],
    api: 0 | 1,
    request: { method: string; path: string; body?: unknown; key?: string },
  ): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      const answer = await call(what, tries % 2 === 1 ? api : api === 0 ? 1 : 0, request)
      const { status } = answer.call
      if ((status !== undefined && status !== 503) || tries === TRIES) return answer
      await wait(AGAIN_MS)
    }
  }

  function known(id: string, to: string): Known {
    const before = history.known.find((one) => one.id === id)
    if (before) return before
    const first: Known = { id, to, checks: [] }
    history.known.push(first)
    return first
  }

  async function start({ to, api, doubled }: Person): Promise<Known | undefined> {
    const request = { method: 'POST', path: '/v1/verifications', body: { to }, key: randomUUID() }
    const other = doubled ? insist('start', api === 0 ? 1 : 0, request) : undefined
    const answers = [await insist('start', api, request), await other]
    const taken = answers.filter((answer) => answer?.call.status === 202)
    const ids = new Set(taken.map((answer) => String(answer?.body.id)))
    if (ids.size > 1) broken(`P5 two verifications for one Idempotency-Key: ${[...ids].join(' ')}`)
    const [id] = ids
    return id === undefined ? undefined : known(id, to)
  }

  async function check(one: Known, code: string, api: 0 | 1): Promise<string | undefined> {
    const key = randomUUID()
    const path = `/v1/verifications/${one.id}/checks`
    const { call, body } = await insist('check', api, { method: 'POST', path, body: { code }, key })
    const result = typeof body.result === 'string' ? body.result : undefined
    one.checks.push({ call, key, code, ...(result === undefined ? {} : { result }) })
    if (result === 'approved') one.endedAtMs ??= Date.now()
    return result
  }

  const arrivedAt = (to: string) => world.sandbox.messages(to).at(-1)

  async function codeOnPhone(to: string): Promise<string | undefined> {
    const until = performance.now() + PATIENCE_MS
    while (performance.now() < until) {
      const message = arrivedAt(to)
      if (message) return codeIn(message)
      await wait(100)
    }
    return undefined
  }

  async function act(person: Person, one: Known): Promise<void> {
    const { to, api, intent, wrong, afterMs } = person
    const other = api === 0 ? 1 : 0
    await wait(afterMs)
    if (intent === 'leaves') return
    if (intent === 'says STOP') return changeMind(person)
    if (intent === 'cancels') {
      const { call } = await insist('cancel', api, {
        method: 'DELETE',
        path: `/v1/verifications/${one.id}`,
      })
      if (call.status === 204) one.endedAtMs = Date.now()
      return
    }
    if (intent === 'asks again') {
      await wait(Math.max(0, RESEND_AFTER_MS - afterMs))
      const path = `/v1/verifications/${one.id}/sends`
      await insist('resend', api, { method: 'POST', path })
    }
    const code = await codeOnPhone(to)
    for (let guess = 0; guess < (intent === 'guesses' ? 6 : wrong); guess += 1)
      await check(one, wrongFor(code, guess), guess % 2 === 0 ? api : other)
    if (code === undefined || intent === 'guesses') return
    const typed = [check(one, code, api)]
    if (intent === 'types it twice at once') typed.push(check(one, code, other))
    await Promise.all(typed)
    if (arrivedAt(to) && Math.abs(afterMs % 5) === 0) await check(one, code, other)
  }

  /** Writes until it is heeded, as the next start tells: whether that was refused for a STOP. Answers when it was told. */
  async function write(word: 'STOP' | 'START', { to, api }: Person): Promise<number | undefined> {
    for (let writes = 0; writes < WRITES; writes += 1) {
      const from = arrivedAt(to)?.from
      // Nobody has written to them yet: they know no number to write to.
      if (from !== undefined) world.sandbox.answer({ from: to, to: from, body: word })
      await wait(WRITES_AGAIN_MS)
      const request = { method: 'POST', path: '/v1/verifications', body: { to }, key: randomUUID() }
      const { call, body } = await insist('start', api, request)
      if (call.status === 202) known(String(body.id), to)
      const stopped = call.problem === 'recipient_opted_out'
      // Any other refusal of a number that was stopped would have been this one.
      const heeded = word === 'STOP' ? stopped : call.status !== undefined && call.status < 500 && !stopped
      if (heeded) return Date.now()
    }
    return undefined
  }

  /** STOP, and after a while START. */
  async function changeMind(person: Person): Promise<void> {
    await codeOnPhone(person.to)
    const fromMs = await write('STOP', person)
    if (fromMs === undefined) return
    const stop: Stop = { to: person.to, fromMs, untilMs: Number.POSITIVE_INFINITY }
    history.stops.push(stop)
    await wait(person.stoppedMs)
    stop.untilMs = Date.now()
    stop.lifted = (await write('START', person)) !== undefined
  }

  /** Looks until everything about it has come to rest: once its time is over, or all faults are. */
  async function look(one: Known, api: 0 | 1): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const at = tries % 2 === 0 ? api : api === 0 ? 1 : 0
      const { call: asked, body } = await call('read', at, {
        method: 'GET',
        path: `/v1/verifications/${one.id}`,
      })
      if (asked.status === 404) return
      if (asked.status === 200) {
        one.view = body as unknown as View
        const over = Date.now() > Date.parse(one.view.expires_at) + REST_MS
        const rested = atRest(one.view)
        if (rested && (over || healed.aborted)) return
        // A minute after its end it must be at rest, unless something is still broken.
        if (healed.aborted && Date.now() > Date.parse(one.view.expires_at) + 60_000) return
        const untilOver = Date.parse(one.view.expires_at) + REST_MS - Date.now()
        if (untilOver > 0) await wait(untilOver, undefined, { signal: healed }).catch(() => {})
      }
      await wait(1_000)
    }
  }

  return {
    history,
    async live(person: Person): Promise<void> {
      const first = await start(person)
      if (!first) return
      await act(person, first)
      const own = history.known.filter(({ to }) => to === person.to)
      await Promise.all(own.map((one) => look(one, person.api)))
    },
    /** Until every end that was seen has been told, or should have been. */
    async listen(): Promise<void> {
      const until = performance.now() + TOLD_WITHIN_MS
      const untold = () => {
        const ends = endsTold(world.receiver.told)
        return history.known.some((one) => isUntold(one, ends))
      }
      while (untold() && performance.now() < until) await wait(500)
    },
    /** What arrived, and who is behind it: also of starts whose answer was lost. */
    async gather(): Promise<void> {
      history.arrived = world.sandbox.messages().map(arrivalOf)
      const ids = new Set(history.known.map(({ id }) => id))
      for (const { reference, to } of history.arrived) {
        const id = reference.split('/')[1] ?? ''
        if (id === '' || ids.has(id)) continue
        ids.add(id)
        await look(known(id, to), 0)
      }
    },
  }
}

function wrongFor(code: string | undefined, guess: number): string {
  const wrong = String(guess).padStart(6, '0')
  return wrong === code ? '999999' : wrong
}
