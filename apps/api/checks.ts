/** Checks of a typed code, by the verification's id or by its number. A wrong code is an answer, not an error. */
import { Hono, type Context as Request } from 'hono'
import * as v from 'valibot'
import type { Checked, Verifications } from '#store/verifications.ts'
import { parseCode } from '#verification/code.ts'
import type { Context } from '#verification/context.ts'
import { maskDestination } from '#verification/destination.ts'
import { refused } from '#verification/refusal.ts'
import { type Channel, parseVerificationId } from '#verification/verification.ts'
import { readJson } from './body.ts'
import { requireScope } from './caller.ts'
import type { ApiEnv } from './context.ts'
import type { ReadDestination } from './destinations.ts'
import { clientIpField, codeField, contextField, countryField, purposeField, toField } from './fields.ts'
import { answerJson } from './headers.ts'
import { readIdempotencyKey } from './idempotency.ts'
import { problem, refusal } from './problem.ts'
import { type Alarm, noteExplain, tellAlarms } from './starting.ts'

const shared = { code: codeField, context: v.optional(contextField), client_ip: v.optional(clientIpField) }
const byId = v.strictObject(shared)
const byNumber = v.strictObject({
  to: toField,
  country: v.optional(countryField),
  purpose: purposeField,
  ...shared,
})

export type CheckRoutes = {
  verifications: Verifications
  readDestination: ReadDestination
  alarm: Alarm
  /** The ways a code can go with the providers there are. */
  channels: readonly Channel[]
}

export function checkRoutes({ verifications, readDestination, alarm, channels }: CheckRoutes) {
  const app = new Hono<ApiEnv>()

  app.post('/verifications/:id/checks', requireScope('check'), async (c) => {
    const key = readIdempotencyKey(c)
    if (key instanceof Response) return key
    const body = await readJson(c, byId)
    if (body.kind === 'problem') return body.response
    const id = parseVerificationId(c.req.param('id'))
    if (!id) return refusal(c, refused('unknown_verification'))
    c.set('verification', id)
    const code = parseCode(body.value.code)
    if (!code) return problem(c, 'invalid_code')
    const application = c.get('application')
    const checked = await verifications.check({ application, id, code, ...optionsOf(body.value), ...key })
    return checked.kind === 'refused' ? refusal(c, checked) : answer(c, checked)
  })

  app.post('/checks', requireScope('check'), async (c) => {
    const key = readIdempotencyKey(c)
    if (key instanceof Response) return key
    const body = await readJson(c, byNumber)
    if (body.kind === 'problem') return body.response
    const { to, country, purpose } = body.value
    // Whoever was called on a landline checks it by its number, too.
    const parsed = readDestination(to, country, channels.includes('call') ? 'call' : 'sms')
    if (parsed.kind === 'refused') return refusal(c, parsed)
    const { destination } = parsed
    c.set('destination', maskDestination(destination))
    const code = parseCode(body.value.code)
    if (!code) return problem(c, 'invalid_code')
    const application = c.get('application')
    const checked = await verifications.checkDestination({
      application,
      destination,
      purpose,
      code,
      ...optionsOf(body.value),
      ...key,
    })
    return checked.kind === 'refused' ? refusal(c, checked) : answer(c, checked)
  })

  function answer(c: Request<ApiEnv>, { id, verdict, checksLeft, explain }: Checked): Response {
    c.set('verification', id)
    c.set('result', verdict)
    noteExplain(c, { explain })
    tellAlarms(explain, alarm)
    return answerJson(c, 200, { verification: id, result: verdict, checks_left: checksLeft })
  }

  return app
}

function optionsOf({
  client_ip,
  context,
}: {
  client_ip?: string | undefined
  context?: Context | undefined
}) {
  return {
    ...(client_ip === undefined ? {} : { clientIp: client_ip }),
    ...(context === undefined ? {} : { context }),
  }
}
