/** `/v1/verifications`: start, read, send again, cancel. Each route parses, asks the store and answers. */
import { Hono } from 'hono'
import * as v from 'valibot'
import type { Asker } from '#store/passage.ts'
import type { Started, Verifications } from '#store/verifications.ts'
import { maskDestination } from '#verification/destination.ts'
import { type Refused, refused } from '#verification/refusal.ts'
import {
  type Application,
  parseVerificationId,
  type SendReference,
  type VerificationId,
} from '#verification/verification.ts'
import { startedAnswer, verificationAnswer } from './answers.ts'
import { readJson, readOptionalJson } from './body.ts'
import type { ApiEnv } from './context.ts'
import type { ReadDestination } from './destinations.ts'
import { channelField, clientIpField, countryField, localeField, purposeField, toField } from './fields.ts'
import { answerJson } from './headers.ts'
import { readIdempotencyKey } from './idempotency.ts'
import { refusal } from './problem.ts'
import { noteExplain, type Start } from './starting.ts'
import { answerStream } from './stream-answer.ts'
import type { Streams } from './streams.ts'

const startFields = v.strictObject({
  to: toField,
  country: v.optional(countryField),
  channel: channelField,
  locale: localeField,
  purpose: purposeField,
  client_ip: v.optional(clientIpField),
})

const resendFields = v.strictObject({ client_ip: v.optional(clientIpField) })

function askerOf({ client_ip }: { client_ip?: string | undefined }): Asker {
  return client_ip === undefined ? {} : { clientIp: client_ip }
}

export type VerificationRoutes = {
  verifications: Verifications
  start: Start
  /** Hands a stored send to the queue; what it cannot hand over the sweeper brings. */
  enqueue: (send: SendReference) => void
  readDestination: ReadDestination
  streams: Streams
}

export function verificationRoutes({
  verifications,
  start,
  enqueue,
  readDestination,
  streams,
}: VerificationRoutes) {
  const app = new Hono<ApiEnv>()

  app.post('/', async (c) => {
    const key = readIdempotencyKey(c)
    if (key instanceof Response) return key
    const body = await readJson(c, startFields)
    if (body.kind === 'problem') return body.response
    const { to, country, channel, locale, purpose, client_ip } = body.value
    const parsed = readDestination(to, country)
    if (parsed.kind === 'refused') return refusal(c, parsed)
    const { destination } = parsed
    c.set('destination', maskDestination(destination))
    const application = c.get('application')
    const started = await start({
      application,
      destination,
      region: parsed.region,
      channel,
      locale,
      purpose,
      ...askerOf({ client_ip }),
      ...key,
    })
    if (started.kind === 'refused') return refusal(c, started)
    c.set('verification', started.id)
    noteExplain(c, started)
    const location = `/v1/verifications/${started.id}`
    return answerJson(c, 202, startedAnswer(started, destination, purpose), { Location: location })
  })

  app.get('/:id', async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    const view = id && (await verifications.read(c.get('application'), id))
    if (!view) return refusal(c, refused('unknown_verification'))
    c.set('verification', view.id)
    return answerJson(c, 200, verificationAnswer(view))
  })

  app.get('/:id/events', async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    const application = c.get('application')
    const view = id && (await verifications.read(application, id))
    if (!view) return refusal(c, refused('unknown_verification'))
    c.set('verification', view.id)
    return answerStream(c, { streams, application, view })
  })

  app.post('/:id/sends', async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    const application = c.get('application')
    const body = await readOptionalJson(c, resendFields)
    if (body.kind === 'problem') return body.response
    const sentAgain = await resend(application, id, askerOf(body.value))
    if (sentAgain.kind === 'refused') return refusal(c, sentAgain)
    handOver(application, sentAgain)
    c.set('verification', sentAgain.id)
    noteExplain(c, sentAgain)
    const view = await verifications.read(application, sentAgain.id)
    return view ? answerJson(c, 202, verificationAnswer(view)) : refusal(c, refused('unknown_verification'))
  })

  app.delete('/:id', async (c) => {
    const id = parseVerificationId(c.req.param('id'))
    if (!id) return refusal(c, refused('unknown_verification'))
    c.set('verification', id)
    const canceled = await verifications.cancel(c.get('application'), id)
    return canceled.kind === 'refused' ? refusal(c, canceled) : c.body(null, 204)
  })

  async function resend(
    application: Application,
    id: VerificationId | undefined,
    asker: Asker,
  ): Promise<Started | Refused> {
    return id ? verifications.resend(application, id, asker) : refused('unknown_verification')
  }

  function handOver(application: Application, { id, send }: Started): void {
    enqueue({ application, verification: id, send })
  }

  return app
}
