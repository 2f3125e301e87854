/** People and the application between: they ask for codes, type them right and wrong, ask again, cancel and leave. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type Call, codeIn, type History, type Known, type View } from './history.ts'
import type { Person } from './plan.ts'
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
  const history: History = { calls: [], known: [], arrived: [] }
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

  async function start({ to, api, doubled }: Person): Promise<Known | undefined> {
    const request = { method: 'POST', path: '/v1/verifications', body: { to }, key: randomUUID() }
    const other = doubled ? insist('start', api === 0 ? 1 : 0, request) : undefined
    const answers = [await insist('start', api, request), await other]
    const taken = answers.filter((answer) => answer?.call.status === 202)
    const ids = new Set(taken.map((answer) => String(answer?.body.id)))
    if (ids.size > 1) broken(`P5 two verifications for one Idempotency-Key: ${[...ids].join(' ')}`)
    const [id] = ids
    if (id === undefined) return undefined
    const known: Known = { id, to, checks: [] }
    history.known.push(known)
    return known
  }

  async function check(known: Known, code: string, api: 0 | 1): Promise<string | undefined> {
    const key = randomUUID()
    const path = `/v1/verifications/${known.id}/checks`
    const { call, body } = await insist('check', api, { method: 'POST', path, body: { code }, key })
    const result = typeof body.result === 'string' ? body.result : undefined
    known.checks.push({ call, key, code, ...(result === undefined ? {} : { result }) })
    if (result === 'approved') known.endedAtMs ??= Date.now()
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

  async function act(person: Person, known: Known): Promise<void> {
    const { to, api, intent, wrong, afterMs } = person
    const other = api === 0 ? 1 : 0
    await wait(afterMs)
    if (intent === 'leaves') return
    if (intent === 'cancels') {
      const { call } = await insist('cancel', api, {
        method: 'DELETE',
        path: `/v1/verifications/${known.id}`,
      })
      if (call.status === 204) known.endedAtMs = Date.now()
      return
    }
    if (intent === 'asks again') {
      await wait(Math.max(0, RESEND_AFTER_MS - afterMs))
      const path = `/v1/verifications/${known.id}/sends`
      await insist('resend', api, { method: 'POST', path })
    }
    const code = await codeOnPhone(to)
    for (let guess = 0; guess < (intent === 'guesses' ? 6 : wrong); guess += 1)
      await check(known, wrongFor(code, guess), guess % 2 === 0 ? api : other)
    if (code === undefined || intent === 'guesses') return
    const typed = [check(known, code, api)]
    if (intent === 'types it twice at once') typed.push(check(known, code, other))
    await Promise.all(typed)
    if (arrivedAt(to) && Math.abs(afterMs % 5) === 0) await check(known, code, other)
  }

  /** Looks until everything about it has come to rest: once its time is over, or all faults are. */
  async function look(known: Known, api: 0 | 1): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const at = tries % 2 === 0 ? api : api === 0 ? 1 : 0
      const { call: asked, body } = await call('read', at, {
        method: 'GET',
        path: `/v1/verifications/${known.id}`,
      })
      if (asked.status === 404) return
      if (asked.status === 200) {
        known.view = body as unknown as View
        const over = Date.now() > Date.parse(known.view.expires_at) + REST_MS
        const rested = atRest(known.view)
        if (rested && (over || healed.aborted)) return
        // A minute after its end it must be at rest, unless something is still broken.
        if (healed.aborted && Date.now() > Date.parse(known.view.expires_at) + 60_000) return
        const untilOver = Date.parse(known.view.expires_at) + REST_MS - Date.now()
        if (untilOver > 0) await wait(untilOver, undefined, { signal: healed }).catch(() => {})
      }
      await wait(1_000)
    }
  }

  return {
    history,
    async live(person: Person): Promise<void> {
      const known = await start(person)
      if (!known) return
      await act(person, known)
      await look(known, person.api)
    },
    /** What arrived, and who is behind it: also of starts whose answer was lost. */
    async gather(): Promise<void> {
      history.arrived = world.sandbox
        .messages()
        .map(({ to, body, atMs, tags }) => ({ to, body, atMs, reference: tags[0] ?? '' }))
      const ids = new Set(history.known.map(({ id }) => id))
      for (const { reference, to } of history.arrived) {
        const id = reference.split('/')[1] ?? ''
        if (ids.has(id)) continue
        ids.add(id)
        const known: Known = { id, to, checks: [] }
        history.known.push(known)
        await look(known, 0)
      }
    },
  }
}

function wrongFor(code: string | undefined, guess: number): string {
  const wrong = String(guess).padStart(6, '0')
  return wrong === code ? '999999' : wrong
}
