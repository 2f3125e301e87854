/**
 * SignalWire's Compatibility (LaML) REST API, as far as sending goes: create a message, look at it or at all of them,
 * create a call. Forms in, JSON out, errors as `{code, message, more_info, status}`.
 */
import { Hono } from 'hono'
import { basicAuth } from './basic-auth.ts'
import { isLoopback } from './callbacks.ts'
import { callFields, callResource, messageFields, messageResource } from './compatibility-shapes.ts'
import { BODY_MAX, isNumber } from './frames.ts'
import type { Draft, Message } from './inbox.ts'
import { placeOrder, type Refusals, type RestContext, type RestEnv, type RestParts } from './order.ts'
import type { Step } from './scenarios.ts'

const ACCOUNT = '/api/laml/2010-04-01/Accounts/:project'

type Status = 400 | 401 | 404 | 422 | 429 | 500 | 503
type Wrong = { status: Status; code: number; message: string }

function refuse(c: RestContext, { status, code, message }: Wrong): Response {
  const more_info = `https://developer.signalwire.com/compatibility-api/reference/error-codes#${code}`
  return c.json({ code, message, more_info, status }, status)
}

const refusals: Refusals = {
  rejected: (c) => refuse(c, { status: 400, code: 21211, message: "The 'To' number is not a valid number." }),
  busy: (c) => refuse(c, { status: 429, code: 20429, message: 'Too many requests' }),
  fault: (c) => refuse(c, { status: 500, code: 20001, message: 'Internal error' }),
  restart: (c) => refuse(c, { status: 503, code: 20504, message: 'Service unavailable' }),
}

const unauthorized = (c: RestContext) =>
  refuse(c, { status: 401, code: 20003, message: 'Authentication failed' })

const notFound = (c: RestContext) => refuse(c, { status: 404, code: 20404, message: 'Resource not found' })

export function compatibilityApi(parts: RestParts): Hono<RestEnv> {
  const api = new Hono<RestEnv>()
  api.use(`${ACCOUNT}/*`, basicAuth(unauthorized))

  for (const suffix of ['', '.json']) {
    api.post(`${ACCOUNT}/Messages${suffix}`, async (c) => {
      const form = new URLSearchParams(await c.req.text())
      const wrong = wrongWithMessage(form)
      return wrong ? refuse(c, wrong) : create(c, form, messageOrder(form))
    })
    api.post(`${ACCOUNT}/Calls${suffix}`, async (c) => {
      const form = new URLSearchParams(await c.req.text())
      const wrong = wrongWithCall(form)
      return wrong ? refuse(c, wrong) : create(c, form, callOrder(form))
    })
  }

  for (const suffix of ['', '.json']) {
    api.get(`${ACCOUNT}/Messages${suffix}`, (c) => {
      const { To: to, From: from, PageSize = '50' } = c.req.query()
      const messages = parts.inbox
        .list({ phone: to })
        .filter((message) => message.channel === 'sms' && (from === undefined || message.from === from))
        .slice(0, Number(PageSize))
      return c.json({ messages: messages.map((message) => messageResource(message, c.get('project'))) })
    })
  }

  api.get(`${ACCOUNT}/Messages/:sid`, (c) => {
    const message = parts.inbox.find(c.req.param('sid').replace(/\.json$/, ''))
    if (message?.channel !== 'sms') return notFound(c)
    return c.json(messageResource(message, c.get('project')))
  })

  function create(c: RestContext, form: URLSearchParams, { draft, resource, fields }: Kind) {
    const project = c.get('project')
    const url = form.get('StatusCallback')
    const post = url ? parts.callbacks.to(url) : () => {}
    return placeOrder(
      c,
      {
        draft,
        refusals,
        accepted: (message, withId) =>
          c.json({ ...resource(message, project), ...(withId ? {} : { sid: undefined }) }, 201),
        tell(message, step) {
          for (const news of fields(message, step, project)) post({ kind: 'form', fields: news })
        },
      },
      parts,
    )
  }

  return api
}

/** What differs between a message and a call. */
type Kind = {
  draft: Draft
  resource(message: Message, project: string): object
  fields(message: Message, step: Step, project: string): Record<string, string>[]
}

function messageOrder(form: URLSearchParams): Kind {
  return {
    draft: draftOf(form, 'sms', form.get('Body') ?? ''),
    resource: messageResource,
    fields: messageFields,
  }
}

function callOrder(form: URLSearchParams): Kind {
  const says = `Plays ${form.get('Url')}`
  return { draft: draftOf(form, 'call', says), resource: callResource, fields: callFields }
}

function draftOf(form: URLSearchParams, channel: Draft['channel'], body: string): Draft {
  const from = form.get('From') ?? form.get('MessagingServiceSid') ?? ''
  const callback = form.get('StatusCallback') ?? ''
  return { to: form.get('To') ?? '', from, body, channel, context: 'default', tags: [], callback }
}

function wrongWithMessage(form: URLSearchParams): Wrong | undefined {
  if (!form.get('From') && !form.get('MessagingServiceSid')) return missing(21603, 'From')
  if (!form.get('Body') && !form.get('MediaUrl')) return missing(21602, 'Body')
  const tooLong = (form.get('Body') ?? '').length > BODY_MAX
  if (tooLong) return { status: 400, code: 21617, message: `The body exceeds ${BODY_MAX} characters.` }
  return wrongWithBoth(form)
}

function wrongWithCall(form: URLSearchParams): Wrong | undefined {
  if (!form.get('From')) return missing(21603, 'From')
  if (!form.get('Url')) return missing(21205, 'Url')
  return wrongWithBoth(form)
}

function wrongWithBoth(form: URLSearchParams): Wrong | undefined {
  if (!form.get('To')) return missing(21604, 'To')
  if (!isNumber(form.get('To')))
    return { status: 400, code: 21211, message: "The 'To' number is not a valid number." }
  const callback = form.get('StatusCallback')
  if (!callback || isLoopback(callback)) return undefined
  return { status: 422, code: 21609, message: 'The sandbox calls http:// addresses of this machine only.' }
}

function missing(code: number, name: string): Wrong {
  return { status: 422, code, message: `The parameter ${name} is required.` }
}
