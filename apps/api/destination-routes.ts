/** `/v1/destinations`: what whoever runs an application asks of a number itself. */
import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import type { Destinations } from '#store/destinations.ts'
import { type Destination, maskDestination, parseHeldDestination } from '#verification/destination.ts'
import { refused } from '#verification/refusal.ts'
import { readJson } from './body.ts'
import { requireScope } from './caller.ts'
import type { ApiEnv } from './context.ts'
import { countryField, toField } from './fields.ts'
import { refusal } from './problem.ts'

const fields = v.strictObject({ to: toField, country: v.optional(countryField) })

export function destinationRoutes({ destinations }: { destinations: Destinations }) {
  const app = new Hono<ApiEnv>()

  app.post('/rebind', requireScope('admin'), async (c) => {
    const destination = await readHeld(c)
    if (destination instanceof Response) return destination
    for (const application of c.get('administered')) await destinations.rebind(application, destination)
    return c.body(null, 204)
  })

  app.post('/erase', requireScope('admin'), async (c) => {
    const destination = await readHeld(c)
    if (destination instanceof Response) return destination
    for (const application of c.get('administered')) await destinations.erase(application, destination)
    return c.body(null, 204)
  })

  return app
}

/** A number in any spelling, also one that codes are not sent to any more. */
async function readHeld(c: Context<ApiEnv>): Promise<Destination | Response> {
  const body = await readJson(c, fields)
  if (body.kind === 'problem') return body.response
  const destination = parseHeldDestination(body.value.to, body.value.country)
  if (!destination) return refusal(c, refused('invalid_number'))
  c.set('destination', maskDestination(destination))
  return destination
}
