/** What a request carries from the middleware to the routes and into its log line. */
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Scope } from '#verification/api-key.ts'
import type { Application } from '#verification/verification.ts'

export type ApiEnv = {
  Bindings: Partial<HttpBindings>
  Variables: {
    requestId: string
    /** What every answer carries, the request's id included. */
    headers: Readonly<Record<string, string>>
    /** The last answer that was made with them. */
    answer: Response
    /** Of the person or program at the other end, past our own proxies. */
    clientIp: string
    application: Application
    /** Whose numbers the caller may erase and bind again, given the scope. */
    administered: readonly Application[]
    /** What its API key allows. */
    scopes: readonly Scope[]
    /** Whether it allows this now, however long ago the request came. */
    stillMay: (scope: Scope) => boolean
    /** The id of that key, when it is one of Redis. */
    apiKey: string | undefined
    /** The verification the request was about, once known. */
    verification: string
    /** The code of the refusal, when it was refused. */
    refusal: string
    /** The limit that refused it. */
    limit: string | undefined
    /** The rules of the gate that spoke up about a start, as `rule=mode`. */
    explain: string
    /** Why a challenge that was passed on did not count. */
    reason: string
    /** The verdict of a check. */
    result: string
    /** The masked number of a start. */
    destination: string
  }
}

/**
 * A request header, by its name in lower case. Node has parsed them already; Hono's own way copies and searches them
 * at each call.
 */
export function headerOf(c: Context<ApiEnv>, name: string): string | undefined {
  const { incoming } = c.env ?? {}
  if (incoming === undefined) return c.req.header(name)
  const value = incoming.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
