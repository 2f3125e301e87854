/**
 * The routes of SignalWire's guide "Two Factor Authentication via SMS", with its fields, texts and statuses, for
 * everyone who comes from it. Plain clients get the guide's exact answers; a browser gets the page.
 */
import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import type { Verifications } from '#store/verifications.ts'
import { parseCode } from '#verification/code.ts'
import { maskDestination, type ParsedDestination, type Region } from '#verification/destination.ts'
import { DEFAULT_LOCALE } from '#verification/message.ts'
import type { Refused } from '#verification/refusal.ts'
import { DEFAULT_PURPOSE } from '#verification/verification.ts'
import { readFormOrJson, readQuery } from './body.ts'
import { FORM_APPLICATION } from './config.ts'
import { type ApiEnv, headerOf } from './context.ts'
import type { ReadDestination } from './destinations.ts'
import { codeField, toField } from './fields.ts'
import { type PageState, renderPage, STYLE } from './page.ts'
import { PROBLEMS, retryAfter } from './problem.ts'
import { sentenceOf, VERDICT_SENTENCES } from './sentences.ts'
import { noteExplain, type Start } from './starting.ts'

/** What is missing is told beside its field, as what is wrong is. */
const requestFields = v.object({ number: v.optional(toField, '') })
const checkFields = v.object({ number: v.optional(toField, ''), auth_code: v.optional(codeField, '') })

export type GuideRoutes = {
  verifications: Verifications
  start: Start
  readDestination: ReadDestination
  country: Region
  pythonRoutes: boolean
}

type GuideStatus = 200 | 400 | 403 | 429 | 503

const SEND_FAILED = 'Error sending code via SMS'

/** What came of a call of the guide's, before it is told to a program or to a person. */
type GuideAnswer = { status: GuideStatus; text: string; page: PageState; retryAfterMs?: number }

export function guideRoutes(deps: GuideRoutes) {
  const app = new Hono<ApiEnv>()

  app.get('/', (c) => c.html(renderPage({})))
  app.get('/style.css', (c) => c.body(STYLE, 200, { 'Content-Type': 'text/css; charset=utf-8' }))

  app.post('/request-auth', async (c) => {
    if (deps.pythonRoutes && c.req.query('number') !== undefined) return requestByQuery(c)
    const body = await readFormOrJson(c, requestFields)
    if (body.kind === 'problem') return rejectBody(c, body.response, invalidNumber({}))
    return tell(c, await requestAuth(c, body.value.number))
  })

  app.post('/validate-auth', async (c) => {
    const body = await readFormOrJson(c, checkFields)
    if (body.kind === 'problem')
      return rejectBody(c, body.response, forbidden({ codeError: 'Type the code.' }))
    return tell(c, await validateAuth(c, body.value.number, body.value.auth_code))
  })

  if (deps.pythonRoutes) {
    app.get('/request-auth', requestByQuery)
    app.get('/validate-auth', async (c) => {
      const query = readQuery(c, checkFields)
      if (query.kind === 'problem') return c.text('403')
      const answer = await validateAuth(c, withPlus(query.value.number), query.value.auth_code)
      return c.text(answer.status === 200 ? '200' : '403')
    })
  }

  async function requestByQuery(c: Context<ApiEnv>): Promise<Response> {
    const query = readQuery(c, requestFields)
    if (query.kind === 'problem') return c.text('400', 400)
    const { status } = await requestAuth(c, withPlus(query.value.number))
    return c.text(String(plainStatus(status)), plainStatus(status))
  }

  function parse(c: Context<ApiEnv>, number: string): ParsedDestination | Refused {
    const parsed = deps.readDestination(number.trim(), deps.country)
    if (parsed.kind === 'destination') c.set('destination', maskDestination(parsed.destination))
    return parsed
  }

  async function requestAuth(c: Context<ApiEnv>, number: string): Promise<GuideAnswer> {
    const parsed = parse(c, number)
    if (parsed.kind === 'refused') return sendRefusal(c, number, parsed)
    const { destination, region } = parsed
    const started = await deps.start({
      application: FORM_APPLICATION,
      destination,
      region,
      purpose: DEFAULT_PURPOSE,
      channel: 'sms',
      locale: DEFAULT_LOCALE,
      clientIp: c.get('clientIp'),
      silent: true,
    })
    if (started.kind === 'refused') return sendRefusal(c, number, started)
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
    })
    if (checked.kind === 'refused') return checkRefusal(c, number, checked)
    c.set('verification', checked.id)
    c.set('result', checked.verdict)
    if (checked.verdict === 'approved') {
      return { status: 200, text: 'Success!', page: { approved: maskDestination(destination) } }
    }
    const left = checked.verdict === 'wrong' ? checked.checksLeft : 0
    return forbidden({ number, codeError: VERDICT_SENTENCES[checked.verdict](left) })
  }

  return app
}

function sendRefusal(c: Context<ApiEnv>, number: string, refused: Refused): GuideAnswer {
  c.set('refusal', refused.refusal)
  c.set('limit', refused.limit)
  const page = { number, numberError: sentenceOf(refused) }
  if (refused.retryAfterMs === undefined) return invalidNumber(page)
  const { retryAfterMs } = refused
  if (PROBLEMS[refused.refusal][0] === 503) return { status: 503, text: SEND_FAILED, page, retryAfterMs }
  return { status: 429, text: 'Too Many Requests', page, retryAfterMs }
}

function checkRefusal(c: Context<ApiEnv>, number: string, refused: Refused): GuideAnswer {
  c.set('refusal', refused.refusal)
  const page = { number, codeError: sentenceOf(refused) }
  if (refused.retryAfterMs === undefined) return forbidden(page)
  return { status: 429, text: 'Too Many Requests', page, retryAfterMs: refused.retryAfterMs }
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
  return wantsPage(c) ? c.html(renderPage(page), status) : c.text(text, plainStatus(status))
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
  const sentence = 'The service cannot answer right now. Try again in a moment.'
  if (wantsPage(c)) return c.html(renderPage({ fault: sentence }), status)
  return c.req.path === '/request-auth'
    ? c.text(SEND_FAILED, 500)
    : c.text(status === 503 ? 'Service Unavailable' : 'Internal Server Error', status)
}
