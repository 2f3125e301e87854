/**
 * The routes of SignalWire's guide "Two Factor Authentication via SMS", with its fields, texts and statuses, for
 * everyone who comes from it. Plain clients get the guide's exact answers; a browser gets the page.
 */
import { setTimeout } from 'node:timers/promises'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import * as v from 'valibot'
import type { Verifications } from '#store/verifications.ts'
import { parseCode } from '#verification/code.ts'
import {
  type Destination,
  maskDestination,
  type ParsedDestination,
  type Region,
} from '#verification/destination.ts'
import { DEFAULT_LOCALE } from '#verification/message.ts'
import { type ChallengeRefusal, isChallengeRefusal, type Refused, refused } from '#verification/refusal.ts'
import { DEFAULT_PURPOSE, FORM_APPLICATION } from '#verification/verification.ts'
import { limitBody, readFormOrJson, readQuery } from './body.ts'
import type { FormChallengeMode } from './challenge-settings.ts'
import type { Challenger } from './challenger.ts'
import { type ApiEnv, headerOf } from './context.ts'
import { isCrossSite } from './cross-site.ts'
import type { ReadDestination } from './destinations.ts'
import { codeField, toField } from './fields.ts'
import { challengeFields, createFormChallenge } from './form-challenge.ts'
import { openPolicy } from './headers.ts'
import { type PageState, renderPage, STYLE } from './page.ts'
import { SCRIPT, sourcesOf } from './page-challenge.ts'
import { PROBLEMS, retryAfter } from './problem.ts'
import { NOT_APPROVED, sentenceOf } from './sentences.ts'
import { type Alarm, noteExplain, type Start, tellAlarms } from './starting.ts'

/** What is missing is told beside its field, as what is wrong is. */
const requestFields = v.object({ number: v.optional(toField, ''), ...challengeFields })
type RequestFields = v.InferOutput<typeof requestFields>
const checkFields = v.object({ number: v.optional(toField, ''), auth_code: v.optional(codeField, '') })

export type GuideRoutes = {
  verifications: Verifications
  start: Start
  readDestination: ReadDestination
  alarm: Alarm
  country: Region
  pythonRoutes: boolean
  formChallenge: FormChallengeMode
  challenger: Challenger
  /** No answer about a number comes earlier than this after its request was read; FORM_ANSWER_MS. */
  formAnswerMs: number
}

/**
 * A number that is unknown, suppressed, denied or disabled takes other work than one that is not, and nobody is to see
 * by how long it took. All of it takes a few milliseconds, tens under load; a person does not feel this much. It runs
 * from when the body has been read: from the start of the request a slow sender could use it up beforehand.
 */
export const FORM_ANSWER_MS = 150

/** The guide's own answer to a send that failed. */
const SEND_FAILED = 'Error sending code via SMS'
const UNAVAILABLE = 'The service cannot answer right now. Try again in a moment.'

/** When to ask again while we, or a vendor, cannot answer. */
const SOON_MS = 1_000

type GuideStatus = 200 | 400 | 403 | 429 | 500 | 503

/** What came of a call of the guide's, before it is told to a program or to a person. */
type GuideAnswer = { status: GuideStatus; text: string; page: PageState; retryAfterMs?: number }

export function guideRoutes(deps: GuideRoutes) {
  const app = new Hono<ApiEnv>()
  const challenge = createFormChallenge(deps)

  /** What another site's page sends is refused before it is read. */
  const refuseCrossSite: MiddlewareHandler<ApiEnv> = async (c, next) => {
    if (!isCrossSite(c)) return await next()
    c.set('refusal', 'cross_site')
    return tell(c, forbidden({ fault: 'This was sent by another site. Use the form below.' }))
  }

  app.get('/', (c) => showPage(c, {}))
  app.get('/style.css', (c) => c.body(STYLE, 200, { 'Content-Type': 'text/css; charset=utf-8' }))

  app.get('/challenge.js', (c) => c.body(SCRIPT, 200, { 'Content-Type': 'text/javascript; charset=utf-8' }))
  for (const path of ['/request-auth', '/validate-auth']) app.use(path, refuseCrossSite, limitBody())

  app.post('/request-auth', async (c) => {
    if (deps.pythonRoutes && c.req.query('number') !== undefined) return requestByQuery(c)
    const body = await readFormOrJson(c, requestFields)
    if (body.kind === 'problem') return rejectBody(c, body.response, invalidNumber({}))
    return tell(c, await notBefore(requestAuth(c, body.value)))
  })

  app.post('/validate-auth', async (c) => {
    const body = await readFormOrJson(c, checkFields)
    if (body.kind === 'problem')
      return rejectBody(c, body.response, forbidden({ codeError: 'Type the code.' }))
    return tell(c, await notBefore(validateAuth(c, body.value.number, body.value.auth_code)))
  })

  if (deps.pythonRoutes) {
    app.get('/request-auth', requestByQuery)
    app.get('/validate-auth', async (c) => {
      const query = readQuery(c, checkFields)
      if (query.kind === 'problem') return c.text('403')
      const answer = await notBefore(validateAuth(c, withPlus(query.value.number), query.value.auth_code))
      return c.text(answer.status === 200 ? '200' : '403')
    })
  }

  async function requestByQuery(c: Context<ApiEnv>): Promise<Response> {
    const query = readQuery(c, requestFields)
    if (query.kind === 'problem') return c.text('400', 400)
    const fields = { ...query.value, number: withPlus(query.value.number) }
    const { status } = await notBefore(requestAuth(c, fields))
    return c.text(String(plainStatus(status)), plainStatus(status))
  }

  async function notBefore(answer: Promise<GuideAnswer>): Promise<GuideAnswer> {
    const [told] = await Promise.all([answer, setTimeout(deps.formAnswerMs)])
    return told
  }

  function parse(c: Context<ApiEnv>, number: string): ParsedDestination | Refused {
    const parsed = deps.readDestination(number.trim(), deps.country)
    if (parsed.kind === 'destination') c.set('destination', maskDestination(parsed.destination))
    return parsed
  }

  async function requestAuth(c: Context<ApiEnv>, fields: RequestFields): Promise<GuideAnswer> {
    const { number } = fields
    const parsed = parse(c, number)
    if (parsed.kind === 'refused') return sendRefusal(c, number, parsed)
    const { destination, region } = parsed
    const pass = await challenge.pass(c, fields, destination)
    if (pass.kind === 'unavailable') return unavailable(c, number)
    if (pass.kind === 'stop') return challenged(c, { number, destination, refusal: pass.refusal })
    const started = await deps.start({
      application: FORM_APPLICATION,
      destination,
      region,
      purpose: DEFAULT_PURPOSE,
      channel: 'sms',
      locale: DEFAULT_LOCALE,
      clientIp: c.get('clientIp'),
      silent: true,
      ...pass.carried,
    })
    if (started.kind === 'refused') {
      const { refusal } = started
      if (isChallengeRefusal(refusal)) return challenged(c, { number, destination, refusal })
      return sendRefusal(c, number, started)
    }
    c.set('verification', started.id)
    noteExplain(c, started)
    return { status: 200, text: 'Your code was sent', page: { number, sentTo: maskDestination(destination) } }
  }

  async function validateAuth(c: Context<ApiEnv>, number: string, typed: string): Promise<GuideAnswer> {
    const parsed = parse(c, number)
    if (parsed.kind === 'refused') {
      c.set('refusal', parsed.refusal)
      return forbidden({ number, checkNumberError: sentenceOf(parsed) })
    }
    const { destination } = parsed
    const code = parseCode(typed)
    if (!code)
      return forbidden({ number, codeError: typed === '' ? 'Type the code.' : 'A code is 6 digits.' })
    const checked = await deps.verifications.checkDestination({
      application: FORM_APPLICATION,
      destination,
      purpose: DEFAULT_PURPOSE,
      code,
      clientIp: c.get('clientIp'),
      silent: true,
    })
    if (checked.kind === 'refused') return checkRefusal(c, number, checked)
    c.set('verification', checked.id)
    c.set('result', checked.verdict)
    noteExplain(c, checked)
    tellAlarms(checked.explain, deps.alarm)
    if (checked.verdict === 'approved') {
      return { status: 200, text: 'Success!', page: { approved: maskDestination(destination) } }
    }
    return forbidden({ number, codeError: NOT_APPROVED })
  }

  /** A program cannot do what is asked for: to it this is one more limit. */
  function challenged(
    c: Context<ApiEnv>,
    asked: { number: string; destination: Destination; refusal: ChallengeRefusal },
  ): GuideAnswer {
    const { number, destination, refusal } = asked
    c.set('refusal', refusal)
    const shown = challenge.show(c, destination, refusal)
    const page = shown ? { challenge: shown } : { numberError: sentenceOf(refused(refusal)) }
    return { status: 429, text: 'Too Many Requests', page: { number, ...page } }
  }

  /** A body that could not be read: the page for a browser, else what body.ts says, but the guide's own text for a form. */
  function rejectBody(
    c: Context<ApiEnv>,
    response: Response,
    answer: GuideAnswer,
  ): Response | Promise<Response> {
    return response.status === 400 && c.get('refusal') === 'invalid_request' ? tell(c, answer) : response
  }

  function tell(
    c: Context<ApiEnv>,
    { status, text, page, retryAfterMs }: GuideAnswer,
  ): Response | Promise<Response> {
    if (retryAfterMs !== undefined) c.header('Retry-After', retryAfter(retryAfterMs))
    c.header('Vary', 'Accept')
    if (wantsPage(c)) return showPage(c, page, status)
    return c.text(text, plainStatus(status))
  }

  function showPage(c: Context<ApiEnv>, page: PageState, status: GuideStatus = 200) {
    const shown = page.approved === undefined ? (page.challenge ?? challenge.standing) : undefined
    if (shown === undefined) return c.html(renderPage(page), status)
    openPolicy(c, sourcesOf(shown))
    return c.html(renderPage({ ...page, challenge: shown }), status)
  }

  return app
}

function sendRefusal(c: Context<ApiEnv>, number: string, refused: Refused): GuideAnswer {
  c.set('refusal', refused.refusal)
  c.set('limit', refused.limit)
  const page = { number, numberError: sentenceOf(refused) }
  const [status] = PROBLEMS[refused.refusal]
  const wait = refused.retryAfterMs === undefined ? {} : { retryAfterMs: refused.retryAfterMs }
  if (status === 503) return { status, text: SEND_FAILED, page, ...wait }
  // A message that costs more than its budget is refused without a time to wait, and its number is a good one.
  if (status === 429) return { status, text: 'Too Many Requests', page, ...wait }
  return invalidNumber(page)
}

function checkRefusal(c: Context<ApiEnv>, number: string, refused: Refused): GuideAnswer {
  c.set('refusal', refused.refusal)
  c.set('limit', refused.limit)
  if (refused.retryAfterMs === undefined) return forbidden({ number, codeError: NOT_APPROVED })
  const page = { number, codeError: sentenceOf(refused) }
  return { status: 429, text: 'Too Many Requests', page, retryAfterMs: refused.retryAfterMs }
}

function unavailable(c: Context<ApiEnv>, number: string): GuideAnswer {
  c.set('refusal', 'service_unavailable')
  return { status: 503, text: SEND_FAILED, page: { number, fault: UNAVAILABLE }, retryAfterMs: SOON_MS }
}

function invalidNumber(page: PageState): GuideAnswer {
  return {
    status: 400,
    text: 'Invalid Phone Number',
    page: { numberError: 'That is not a valid phone number.', ...page },
  }
}

function forbidden(page: PageState): GuideAnswer {
  return { status: 403, text: 'Forbidden', page }
}

/** The guide knows one answer to a code that cannot be sent, and its status is 500. */
function plainStatus(status: GuideStatus) {
  return status === 503 ? 500 : status
}

function wantsPage(c: Context<ApiEnv>): boolean {
  return /\btext\/html\b/.test(headerOf(c, 'accept') ?? '')
}

/** The Python variant puts the `+` there itself; one in a URL arrives as a space. */
function withPlus(number: string): string {
  return `+${number.trim().replace(/^\+/, '')}`
}

/** The guide's own answer to a send that failed, for a fault of ours. */
export function guideFault(c: Context<ApiEnv>, status: 500 | 503): Response | Promise<Response> {
  if (status === 503) c.header('Retry-After', retryAfter(SOON_MS))
  if (wantsPage(c)) return c.html(renderPage({ fault: UNAVAILABLE }), status)
  return c.req.path === '/request-auth'
    ? c.text(SEND_FAILED, 500)
    : c.text(status === 503 ? 'Service Unavailable' : 'Internal Server Error', status)
}
