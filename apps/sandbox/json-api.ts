/**
 * SignalWire's newer JSON REST APIs, as far as sending goes: create a message, create a call that speaks an inline SWML
 * document. Errors are `{errors: [...]}` for a bad parameter, `{error}` for the rest.
 */
import { Hono } from 'hono'
import { basicAuth } from './basic-auth.ts'
import { isLoopback, type Notice } from './callbacks.ts'
import { asParams, BODY_MAX, isNumber, type Params, strings } from './frames.ts'
import type { Draft, Message } from './inbox.ts'
import { callNews, callResource, messageNews, messageResource } from './json-shapes.ts'
import { placeOrder, type Refusals, type RestContext, type RestEnv, type RestParts } from './order.ts'
import type { Step } from './scenarios.ts'
import { spokenIn } from './swml.ts'

type Wrong = { attribute: string; code: string; message: string }

function invalid(c: RestContext, wrong: readonly Wrong[]): Response {
  const url = 'https://developer.signalwire.com/rest/overview/error-codes'
  const errors = wrong.map((error) => ({ type: 'validation_error', ...error, url: `${url}#${error.code}` }))
  return c.json({ errors }, 422)
}

const refusals: Refusals = {
  rejected: (c) => invalid(c, [WRONG_TO]),
  busy: (c) => c.json({ error: 'Too Many Requests' }, 429),
  fault: (c) => c.json({ error: 'Internal Server Error' }, 500),
  restart: (c) => c.json({ error: 'Service Unavailable' }, 503),
}

const WRONG_TO: Wrong = {
  attribute: 'to',
  code: 'invalid_to_number',
  message: 'To must be a number in E.164.',
}
const WRONG_FROM: Wrong = {
  attribute: 'from',
  code: 'invalid_from_number',
  message: 'From must be a number in E.164 or a short code.',
}

/** What differs between a message and a call. */
type Kind = {
  draft: Draft
  callbackUrl: unknown
  accepted(message: Message): Record<string, unknown>
  status: 200 | 201
  news(message: Message, step: Step): object[]
}

export function jsonApi(parts: RestParts): Hono<RestEnv> {
  const api = new Hono<RestEnv>()
  const guard = basicAuth((c) => c.json({ error: 'Unauthorized' }, 401))
  api.use('/api/messaging/*', guard)
  api.use('/api/calling/*', guard)

  api.post('/api/messaging/messages', async (c) => {
    const params = await readJson(c)
    if (!params) return c.json({ error: 'Bad Request' }, 400)
    const wrong = [...wrongWithBoth(params, 'status_callback'), ...wrongWithText(params)]
    return wrong.length > 0 ? invalid(c, wrong) : create(c, messageOrder(params, c.get('project')))
  })

  api.post('/api/calling/calls', async (c) => {
    const { command, params: given } = (await readJson(c)) ?? {}
    const params = asParams(given)
    if (command === undefined) return c.json({ error: 'Bad Request' }, 400)
    const wrong = [
      ...wrongWithCommand(command),
      ...wrongWithBoth(params, 'status_url'),
      ...wrongWithSwml(params),
    ]
    return wrong.length > 0 ? invalid(c, wrong) : create(c, callOrder(params, c.get('project')))
  })

  function create(c: RestContext, { draft, callbackUrl, accepted, status, news }: Kind) {
    const post: (notice: Notice) => void =
      typeof callbackUrl === 'string' && callbackUrl !== '' ? parts.callbacks.to(callbackUrl) : () => {}
    return placeOrder(
      c,
      {
        draft,
        refusals,
        accepted: (message, withId) =>
          c.json({ ...accepted(message), ...(withId ? {} : { id: undefined }) }, status),
        tell(message, step) {
          for (const value of news(message, step)) post({ kind: 'json', value })
        },
      },
      parts,
    )
  }

  return api
}

function messageOrder(params: Params, project: string): Kind {
  const { status_callback: callbackUrl, custom_variables } = params
  return {
    draft: draftOf(params, 'sms', { body: text(params.body), callback: text(callbackUrl) }),
    callbackUrl,
    status: 201,
    accepted: (message) => messageResource(message, { project, callbackUrl }),
    news: (message, step) => [{ ...messageNews(message, step, project), custom_variables }],
  }
}

function callOrder(params: Params, project: string): Kind {
  const wanted = strings(params.status_events)
  return {
    draft: draftOf(params, 'call', { body: spokenIn(params.swml), callback: text(params.status_url) }),
    callbackUrl: params.status_url,
    status: 200,
    accepted: callResource,
    news: (message, step) => callNews(message, step, { project, wanted }),
  }
}

function draftOf(
  { to, from }: Params,
  channel: Draft['channel'],
  said: Required<Pick<Draft, 'body' | 'callback'>>,
): Draft {
  return { to: text(to), from: text(from), channel, context: 'default', tags: [], ...said }
}

const text = (value: unknown) => (typeof value === 'string' ? value : '')

function wrongWithBoth(params: Params, callbackName: string): Wrong[] {
  const wrong: Wrong[] = []
  if (!isNumber(params.to)) wrong.push(WRONG_TO)
  if (!isNumber(params.from) && !/^\d{5,6}$/.test(text(params.from))) wrong.push(WRONG_FROM)
  const callback = params[callbackName]
  if (callback === undefined || isLoopback(text(callback))) return wrong
  const message = 'The sandbox calls http:// addresses of this machine only.'
  return [...wrong, { attribute: callbackName, code: 'invalid_url', message }]
}

function wrongWithText({ body, media }: Params): Wrong[] {
  if (text(body).length > BODY_MAX) {
    return [
      {
        attribute: 'body',
        code: 'character_limit_exceeded',
        message: `Body is over ${BODY_MAX} characters.`,
      },
    ]
  }
  if (text(body) !== '' || strings(media).length > 0) return []
  return [{ attribute: 'body', code: 'message_body_required', message: 'Body or media is required.' }]
}

function wrongWithCommand(command: unknown): Wrong[] {
  if (command === 'dial') return []
  return [
    { attribute: 'command', code: 'invalid_command', message: 'The sandbox knows the command dial only.' },
  ]
}

function wrongWithSwml({ swml }: Params): Wrong[] {
  if (spokenIn(swml) !== '') return []
  return [
    { attribute: 'swml', code: 'invalid_swml', message: 'The sandbox needs a swml that plays a say: URL.' },
  ]
}

async function readJson(c: RestContext): Promise<Params | undefined> {
  const value: unknown = await c.req.json().catch(() => undefined)
  return typeof value === 'object' && value !== null ? asParams(value) : undefined
}
