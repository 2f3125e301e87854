/**
 * The API for a test: the real app on the real store, with a queue that is a list and a log that is kept. Whatever a
 * test file does, no line of that log may hold a code or a whole number.
 */
import type { Redis } from 'ioredis'
import { afterAll, expect } from 'vitest'
import { type AppConfig, createApp } from '#api/app.ts'
import { DEFAULT_APPLICATION } from '#api/caller.ts'
import { FORM_APPLICATION } from '#api/config.ts'
import type { Readiness } from '#api/health.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { freshDestination, storeOn, wrongFor } from '#test/fixtures/store.ts'
import type { Code } from '#verification/code.ts'
import type { Receipt } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import type { Sender } from '#verification/sender.ts'
import { type Application, parseVerificationId, type SendReference } from '#verification/verification.ts'

export { FORM_APPLICATION }

export const KEYS = {
  shop: 'shop-key-0123456789abcdef0123456789',
  bank: 'bank-key-0123456789abcdef0123456789',
} as const

export const WITH_KEYS: Partial<AppConfig> = {
  apiKeys: [
    { application: 'shop' as Application, key: KEYS.shop },
    { application: 'bank' as Application, key: KEYS.bank },
  ],
}

const DEFAULTS: AppConfig = {
  production: false,
  apiKeys: [],
  publicForm: true,
  pythonRoutes: false,
  regions: new Set(['US', 'CA']),
  country: 'US',
  trustedProxies: [],
  lists: { allowed: [], denied: [], tests: [] },
  callbacks: { publicUrl: 'https://2fa.example.com', signingKey: 'signing key of the tests' },
  channels: ['sms'],
}

export type Line = LogFields & { level: string; msg: string }
export type Json = Record<string, unknown>
export type Headers = Record<string, string>

type Options = {
  config?: Partial<AppConfig>
  policy?: Partial<Policy>
  readiness?: Readiness
  senders?: readonly Sender[]
}

const everyLine: Line[] = []
const everyCode = new Set<string>()

afterAll(() => {
  for (const line of everyLine) expectNoSecret(JSON.stringify(line))
})

const UUID = /[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}/g

export function expectNoSecret(text: string): void {
  const plain = text.replace(UUID, 'ID')
  expect(plain).not.toMatch(/\d{7}/)
  for (const code of everyCode) expect(plain).not.toContain(code)
}

function keptLog(lines: Line[]): Log {
  const keep = (level: string) => (fields: LogFields, msg: string) => {
    // As it is written: a field that is undefined is none.
    const line: Line = { ...JSON.parse(JSON.stringify(fields)), level, msg }
    lines.push(line)
    everyLine.push(line)
  }
  return { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
}

export function apiOn(redis: Redis, { config, policy, readiness, senders }: Options = {}) {
  const store = storeOn(redis, policy, undefined, undefined, senders)
  const enqueued: SendReference[] = []
  const receipts: Receipt[] = []
  const lines: Line[] = []
  const app = createApp({
    config: { ...DEFAULTS, ...config },
    verifications: store.verifications,
    enqueue: (send) => void enqueued.push(send),
    takeReceipt: (receipt) => void receipts.push(receipt),
    readiness: readiness ?? (async () => undefined),
    log: keptLog(lines),
  })

  const get = async (path: string, headers: Headers = {}) => await app.request(path, { headers })
  const send = async (method: string, path: string, headers: Headers = {}) =>
    await app.request(path, { method, headers })
  const postText = async (path: string, body: string, headers: Headers) =>
    await app.request(path, { method: 'POST', body, headers })
  const post = (path: string, body: unknown, headers: Headers = {}) =>
    postText(path, JSON.stringify(body), { 'Content-Type': 'application/json', ...headers })
  const postForm = (path: string, fields: Record<string, string> | string, headers: Headers = {}) =>
    postText(path, new URLSearchParams(fields).toString(), {
      'Content-Type': 'application/x-www-form-urlencoded',
      ...headers,
    })

  /** The code as the worker would open it. */
  async function codeOf(id: string, application: Application = DEFAULT_APPLICATION): Promise<Code> {
    const parsed = parseVerificationId(id)
    if (!parsed) throw new Error(`${id} is no id`)
    const sealed = await redis.hget(store.keys.verification(application, parsed), 'sealed')
    if (!sealed) throw new Error('No sealed code')
    const letter = store.vault.open(sealed, { application, id: parsed })
    if (!letter) throw new Error('Sealed with another key')
    everyCode.add(letter.code)
    return letter.code
  }

  /** Starts one over HTTP: what a test of anything later begins with. */
  async function start(headers: Headers = {}, application?: Application) {
    const to = freshDestination()
    const answer = await jsonOf(await post('/v1/verifications', { to }, headers), 202)
    const id = String(answer.id)
    const code = await codeOf(id, application)
    return { to, id, code, wrong: wrongFor(code), answer, checks: `/v1/verifications/${id}/checks` }
  }

  return { app, store, enqueued, receipts, lines, get, send, post, postText, postForm, codeOf, start }
}

export type Api = ReturnType<typeof apiOn>

/** The API on a store that fails in one way whatever it is asked. */
export function failingApi(fault: Error) {
  const fail = () => Promise.reject(fault)
  const verifications = {
    start: fail,
    resend: fail,
    check: fail,
    checkDestination: fail,
    cancel: fail,
    read: fail,
  }
  return createApp({
    config: { ...DEFAULTS, pythonRoutes: true },
    verifications,
    enqueue: () => {},
    takeReceipt: () => {},
    readiness: async () => 'redis_unreachable',
    log: keptLog([]),
  })
}

export async function jsonOf(response: Response, status: number): Promise<Json> {
  const text = await response.text()
  expect(`${response.status} ${text}`).toMatch(new RegExp(`^${status} `))
  return JSON.parse(text)
}

/** A refusal in full: its status, its content type and the body that RFC 9457 asks for. */
export async function expectProblem(response: Response, status: number, code: string): Promise<Json> {
  const body = await jsonOf(response, status)
  expect(body).toMatchObject({ type: `urn:sms-two-factor-auth:problem:${code}`, status, code })
  expect(body.title).toEqual(expect.any(String))
  expect(response.headers.get('Content-Type')).toBe('application/problem+json')
  return body
}
