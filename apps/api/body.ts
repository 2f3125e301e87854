/**
 * Reads request bodies strictly: the exact content type, a JSON object or a form, no unknown fields, no wrong types.
 * What is wrong is said by field name; what was sent is never quoted.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import * as v from 'valibot'
import { type ApiEnv, headerOf } from './context.ts'
import { type FieldProblem, problem } from './problem.ts'

const BODY_MAX_BYTES = 8 * 1024

export type Body<T> = { kind: 'body'; value: T } | { kind: 'problem'; response: Response }

type Schema<T> = v.GenericSchema<unknown, T>

const TWICE: FieldProblem = { field: '', problem: 'must not name a field twice' }

const JSON_TYPE = /^application\/json(?:\s*;\s*charset=utf-8)?$/i
const FORM_TYPE = /^application\/x-www-form-urlencoded(?:\s*;\s*charset=utf-8)?$/i

/**
 * Refuses bodies over the limit. One that states its length is judged by it before a byte is read (Node's parser holds
 * the sender to it); one that does not is counted while it comes.
 */
export function limitBody(maxSize = BODY_MAX_BYTES): MiddlewareHandler<ApiEnv> {
  const counting = bodyLimit({ maxSize, onError: (c) => problem(c, 'body_too_large') })
  return async (c, next) => {
    if (headerOf(c, 'transfer-encoding') !== undefined) return unlessCutOff(c, counting(c, next))
    if (Number(headerOf(c, 'content-length') ?? 0) > maxSize) return problem(c, 'body_too_large')
    return await next()
  }
}

/** Faults of routes are answered by the app before they come here: what is left is a body that never ended. */
function unlessCutOff<T>(c: Context<ApiEnv>, read: Promise<T>): Promise<T | Response> {
  return read.catch(() => problem(c, 'malformed_json'))
}

export async function readJson<T>(c: Context<ApiEnv>, schema: Schema<T>): Promise<Body<T>> {
  if (!JSON_TYPE.test(headerOf(c, 'content-type') ?? '')) return wrong(problem(c, 'unsupported_media_type'))
  const json = parseJson((await readText(c)) ?? '')
  if (json === undefined) return wrong(problem(c, 'malformed_json'))
  return json.twice ? wrong(problem(c, 'invalid_request', { errors: [TWICE] })) : check(c, schema, json.value)
}

/** A call that needs no body may have one all the same. */
export async function readOptionalJson<T>(c: Context<ApiEnv>, schema: Schema<T>): Promise<Body<T>> {
  return (await readText(c)) === '' ? check(c, schema, {}) : readJson(c, schema)
}

/** The guide's routes take a form as browsers send it, or JSON. */
export async function readFormOrJson<T>(c: Context<ApiEnv>, schema: Schema<T>): Promise<Body<T>> {
  if (!FORM_TYPE.test(headerOf(c, 'content-type') ?? '')) return readJson(c, schema)
  return check(c, schema, fieldsOf(new URLSearchParams(await readText(c))))
}

/** `undefined` from a caller who hangs up in the middle of a body; nobody reads the answer. */
export async function readText(c: Context<ApiEnv>): Promise<string | undefined> {
  try {
    return await c.req.text()
  } catch {
    return undefined
  }
}

export function readQuery<T>(c: Context<ApiEnv>, schema: Schema<T>): Body<T> {
  return check(c, schema, fieldsOf(new URL(c.req.url).searchParams))
}

/** A field given twice becomes a list, which no schema takes. */
function fieldsOf(parameters: URLSearchParams): Record<string, unknown> {
  const named = Map.groupBy(parameters, ([name]) => name)
  return Object.fromEntries(
    [...named].map(([name, pairs]) => {
      const values = pairs.map(([, value]) => value)
      return [name, values.length === 1 ? values[0] : values]
    }),
  )
}

/** @property twice whether an object in it names a field twice, of which JSON.parse keeps the last (RFC 8259 §4) */
function parseJson(text: string): { value: unknown; twice: boolean } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return { value, twice: fieldsNamed(text) !== fieldsIn(value) }
  } catch {
    return undefined
  }
}

/** Of valid JSON: outside its strings each field has one colon, and nothing else has. */
function fieldsNamed(json: string): number {
  return json.replace(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1
}

/** Without recursion, and not by JSON.stringify, which takes time by the square of how deep lists lie in lists. */
function fieldsIn(value: unknown): number {
  const parts = [value]
  let count = 0
  for (const part of parts) {
    if (typeof part !== 'object' || part === null) continue
    const values = Object.values(part)
    if (!Array.isArray(part)) count += values.length
    parts.push(...values)
  }
  return count
}

function check<T>(c: Context<ApiEnv>, schema: Schema<T>, input: unknown): Body<T> {
  const parsed = v.safeParse(schema, input)
  if (parsed.success) return { kind: 'body', value: parsed.output }
  return wrong(problem(c, 'invalid_request', { errors: parsed.issues.map(fieldProblem) }))
}

function fieldProblem(issue: v.BaseIssue<unknown>): FieldProblem {
  const field = v.getDotPath(issue) ?? ''
  if (issue.type !== 'strict_object') return { field: field.slice(0, 64), problem: issue.message }
  if (issue.expected === 'Object') return { field: field.slice(0, 64), problem: 'must be an object' }
  return {
    field: field.slice(0, 64),
    problem: issue.expected === 'never' ? 'is not known here' : 'is missing',
  }
}

function wrong<T>(response: Response): Body<T> {
  return { kind: 'problem', response }
}
