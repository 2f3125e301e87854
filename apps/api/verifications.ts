/** `/v1/verifications`: start, read, send again, cancel. Each route parses, asks the store and answers. */
import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import type { Asker } from '#store/passage.ts'
import type { Started, StartRequest, Verifications } from '#store/verifications.ts'
import type { PassedChallenge } from '#verification/challenge.ts'
import { maskDestination } from '#verification/destination.ts'
import { isChallengeRefusal, type Refused, refused } from '#verification/refusal.ts'
import { type Channel, parseVerificationId } from '#verification/verification.ts'
import { challengeAnswer, startedAnswer, verificationAnswer } from './answers.ts'
import { readJson, readOptionalJson } from './body.ts'
import { requireScope } from './caller.ts'
import type { About, Challenger, GivenChallenge } from './challenger.ts'
import type { ApiEnv } from './context.ts'
import type { ReadDestination } from './destinations.ts'
import {
  challengeField,
  channelField,
  clientIpField,
  contextField,
  countryField,
  localeField,
  purposeField,
  toField,
} from './fields.ts'
import { answerJson } from './headers.ts'
import { readIdempotencyKey } from './idempotency.ts'
import { problem, refusal } from './problem.ts'
import { noteExplain, type Resend, type Start } from './starting.ts'
import { answerStream } from './stream-answer.ts'
import type { Streams } from './streams.ts'

/** Who types a code for a payment must have been told which: a call says the digits alone. */
const NOT_SPOKEN = 'must be absent with channel call, which does not say what is paid'

const startFields = v.pipe(
  v.strictObject({
    to: toField,
    country: v.optional(countryField),
    channel: channelField,
    locale: localeField,
    purpose: purposeField,
    client_ip: v.optional(clientIpField),
    challenge: v.optional(challengeField),
    context: v.optional(contextField),
  }),
  v.forward(
    v.check(({ channel, context }) => channel !== 'call' || context === undefined, NOT_SPOKEN),
    ['context'],
  ),
)

const resendFields = v.strictObject({
  client_ip: v.optional(clientIpField),
  challenge: v.optional(challengeField),
})

function askerOf({ client_ip }: { client_ip?: string | undefined }): Asker {
  return client_ip === undefined ? {} : { clientIp: client_ip }
}

type Given = { challenge: GivenChallenge; about: About }
type Passed = { challenge?: PassedChallenge }
/** The vendor of CAPTCHAs cannot be asked. */
type Unavailable = { kind: 'unavailable' }

export type VerificationRoutes = {
  verifications: Verifications
  start: Start
  resend: Resend
  challenger: Challenger
  readDestination: ReadDestination
  streams: Streams
  /** The ways a code can go with the providers there are. */
  channels: readonly Channel[]
}

export function verificationRoutes(parts: VerificationRoutes) {
  const { verifications, start, resend, challenger, readDestination, streams, channels } = parts
  const app = new Hono<ApiEnv>()

  app.post('/', requireScope('send'), async (c) => {
    const key = readIdempotencyKey(c)
    if (key instanceof Response) return key
    const body = await readJson(c, startFields)
    if (body.kind === 'problem') return body.response
    const { to, country, channel, locale, purpose, client_ip, challenge, context } = body.value
    if (!channels.includes(channel)) return refusal(c, refused('channel_unavailable'))
    const parsed = readDestination(to, country, channel)
    if (parsed.kind === 'refused') return refusal(c, parsed)
    const { destination } = parsed
    c.set('destination', maskDestination(destination))
    const application = c.get('application')
    const request = {
      application,
      destination,
      region: parsed.region,
      channel,
      locale,
      purpose,
      ...askerOf({ client_ip }),
      ...(context === undefined ? {} : { context }),
      ...key,
    }
    const about = { application, destination, ip: client_ip ?? '' }
    const started = challenge ? await startChallenged(c, request, { challenge, about }) : await start(request)
    if (started.kind === 'unavailable') return unavailable(c)
    if (started.kind === 'refused') return refuse(c, started, about)
    c.set('verification', started.id)
    noteExplain(c, started)
    const location = `/v1/verifications/${started.id}`
    return answerJson(c, 202, startedAnswer(started, destination, purpose), { Location: location })
  })

  app.get('/:id', requireScope('read'), async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    const view = id && (await verifications.read(c.get('application'), id))
    if (!view) return refusal(c, refused('unknown_verification'))
    c.set('verification', view.id)
    return answerJson(c, 200, verificationAnswer(view))
  })

  app.get('/:id/events', requireScope('read'), async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    const application = c.get('application')
    const view = id && (await verifications.read(application, id))
    if (!view) return refusal(c, refused('unknown_verification'))
    c.set('verification', view.id)
    return answerStream(c, { streams, application, view })
  })

  app.post('/:id/sends', requireScope('send'), async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    const application = c.get('application')
    const body = await readOptionalJson(c, resendFields)
    if (body.kind === 'problem') return body.response
    const destinationTag = id && (await verifications.findTag(application, id))
    if (!id || destinationTag === undefined) return refusal(c, refused('unknown_verification'))
    const { client_ip, challenge } = body.value
    const about = { application, destinationTag, ip: client_ip ?? '' }
    const order = (passed: Passed = {}) => resend(application, id, { ...askerOf({ client_ip }), ...passed })
    const sentAgain = challenge ? await withChallenge(c, { challenge, about }, order) : await order()
    if (sentAgain.kind === 'unavailable') return unavailable(c)
    if (sentAgain.kind === 'refused') return refuse(c, sentAgain, about)
    c.set('verification', sentAgain.id)
    noteExplain(c, sentAgain)
    const view = await verifications.read(application, sentAgain.id)
    return view ? answerJson(c, 202, verificationAnswer(view)) : refusal(c, refused('unknown_verification'))
  })

  app.delete('/:id', requireScope('send'), async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    if (!id) return refusal(c, refused('unknown_verification'))
    c.set('verification', id)
    const canceled = await verifications.cancel(c.get('application'), id)
    return canceled.kind === 'refused' ? refusal(c, canceled) : c.body(null, 204)
  })

  async function startChallenged(
    c: Context<ApiEnv>,
    request: StartRequest,
    given: Given,
  ): Promise<Started | Refused | Unavailable> {
    // An answer that was given is given again, though its challenge is used by it or has expired since.
    const first = await verifications.replayStart(request)
    return first ?? withChallenge(c, given, (passed) => start({ ...request, ...passed }))
  }

  /** Orders a send with the challenge that was passed on, once that is judged. */
  async function withChallenge(
    c: Context<ApiEnv>,
    { challenge, about }: Given,
    order: (passed: Passed) => Promise<Started | Refused>,
  ): Promise<Started | Refused | Unavailable> {
    const judged = await challenger.judge(challenge, about, c.req.raw.signal)
    if (judged.kind === 'passed') return order({ challenge: judged.challenge })
    c.set('reason', judged.reason)
    return judged.kind === 'failed' ? refused('challenge_failed') : { kind: 'unavailable' }
  }

  /** Who lacks a challenge is given one. */
  function refuse(c: Context<ApiEnv>, no: Refused, about: About): Response {
    if (!isChallengeRefusal(no.refusal)) return refusal(c, no)
    c.set('limit', no.limit)
    const limit = no.limit === undefined ? {} : { limit: no.limit }
    return problem(c, no.refusal, { ...limit, challenge: challengeAnswer(challenger.issue(about)) })
  }

  return app
}

function unavailable(c: Context<ApiEnv>): Response {
  return problem(c, 'service_unavailable', { retryAfterMs: 1_000 })
}
