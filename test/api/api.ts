/**
 * The API for a test: the real app on the real store, with a queue that is a list and a log that is kept. Whatever a
 * test file does, no line of that log may hold a code or a whole number.
 */
import type { Redis } from 'ioredis'
import { afterAll, expect } from 'vitest'
import { type AppConfig, createApp } from '#api/app.ts'
import { DEFAULT_APPLICATION } from '#api/caller.ts'
import { type Challenger, createChallenger } from '#api/challenger.ts'
import type { Readiness } from '#api/health.ts'
import { createKeyRing, type KeyRing } from '#api/key-ring.ts'
import { createStreams } from '#api/streams.ts'
import type { Captcha } from '#captcha/captcha.ts'
import { createKeywords } from '#receipts/keywords.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import type { Verifications } from '#store/verifications.ts'
import { freshDestination, storeOn, testTags, testVault, wrongFor } from '#test/fixtures/store.ts'
import { type ApiKey, DEFAULT_SCOPES, digestOf, type Scope } from '#verification/api-key.ts'
import { createChallenges } from '#verification/challenge.ts'
import type { Code } from '#verification/code.ts'
import type { Receipt } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import { refused } from '#verification/refusal.ts'
import type { Sender } from '#verification/sender.ts'
import type { Vault } from '#verification/vault.ts'
import {
  type Application,
  FORM_APPLICATION,
  parseVerificationId,
  type SendReference,
} from '#verification/verification.ts'

export { FORM_APPLICATION }

export const KEYS = {
  shop: 'shop-key-0123456789abcdef0123456789',
  bank: 'bank-key-0123456789abcdef0123456789',
  /** Of the shop, too, with the scope admin alone. */
  admin: 'admin-key-0123456789abcdef012345678',
} as const

/** What the app is given, and the keys of the environment. */
type Config = AppConfig & { apiKeys: readonly ApiKey[] }

export function apiKey(application: string, key: string, scopes: readonly Scope[] = DEFAULT_SCOPES): ApiKey {
  return { application: application as Application, scopes, digest: digestOf(key).toString('base64url') }
}

export const WITH_KEYS: Partial<Config> = {
  apiKeys: [apiKey('shop', KEYS.shop), apiKey('bank', KEYS.bank), apiKey('shop', KEYS.admin, ['admin'])],
}

const DEFAULTS: Config = {
  production: false,
  apiKeys: [],
  publicForm: true,
  pythonRoutes: false,
  formChallenge: 'demand',
  regions: new Set(['US', 'CA']),
  country: 'US',
  trustedProxies: [],
  lists: { allowed: [], denied: [], tests: [] },
  callbacks: { publicUrl: 'https://2fa.example.com', signingKeys: ['signing key of the tests'] },
  channels: ['sms'],
}

/** A ring of these keys, and none in Redis. */
function ringOf({ production, apiKeys }: Pick<Config, 'production' | 'apiKeys'>) {
  const ring = createKeyRing({ production })
  ring.setConfigured(apiKeys)
  ring.setStored({ keys: [], everMade: false })
  return ring
}

export type Line = LogFields & { level: string; msg: string }
export type Json = Record<string, unknown>
export type Headers = Record<string, string>

const STREAMS = { max: 500, applicationMax: 200 }

type Options = {
  streams?: Partial<Parameters<typeof createStreams>[0]>
  config?: Partial<Config>
  policy?: Partial<Policy>
  readiness?: Readiness
  ring?: KeyRing
  senders?: readonly Sender[]
  captcha?: Captcha
  bits?: number
  /** The clock challenges are judged by. */
  now?: () => number
  /** What asks the store in place of the routes, such as to refuse a start without a challenge. */
  before?: (verifications: Verifications) => Verifications
  /** Another API that is on the same Redis, or was before a restart. */
  same?: { prefix: string; vault: Vault }
  /** What becomes of a receipt that a callback brings; taken when it is not said. */
  storesReceipts?: () => Promise<boolean>
  /** Default none: only a test of time waits. */
  formAnswerMs?: number
}

/** Few, so that a test solves them in no time. */
export const CHALLENGE_BITS = 10

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

export function keptLog(lines: Line[]): Log {
  const keep = (level: string) => (fields: LogFields, msg: string) => {
    // As it is written: a field that is undefined is none.
    const line: Line = { ...JSON.parse(JSON.stringify(fields)), level, msg }
    lines.push(line)
    everyLine.push(line)
  }
  return { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
}

function challengerOf(vault: Vault, options: Options = {}): Challenger {
  const { captcha, now, bits = CHALLENGE_BITS } = options
  const challenges = createChallenges(() => testTags)
  return createChallenger({ challenges, vault, bits, captcha, ...(now ? { now } : {}) })
}

export function apiOn(redis: Redis, options: Options = {}) {
  const { config, policy, readiness, ring, before } = options
  const store = storeOn(redis, policy, options.same, undefined, options.senders)
  const enqueued: SendReference[] = []
  const receipts: Receipt[] = []
  const lines: Line[] = []
  const all = { ...DEFAULTS, ...config }
  const log = keptLog(lines)
  const { readMany } = store.verifications
  const streams = createStreams({ readMany, limits: STREAMS, log, ...options.streams })
  const app = createApp({
    config: all,
    ring: ring ?? ringOf(all),
    verifications: before ? before(store.verifications) : store.verifications,
    challenger: challengerOf(store.vault, options),
    destinations: store.destinations,
    streams,
    enqueue: (send) => void enqueued.push(send),
    takeReceipt: async (receipt) => {
      receipts.push(receipt)
      return options.storesReceipts?.() ?? true
    },
    takeInbound: createKeywords({ suppressions: store.suppressions, log }).take,
    readiness: readiness ?? (async () => undefined),
    formAnswerMs: options.formAnswerMs ?? 0,
    log,
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

  return {
    app,
    store,
    streams,
    enqueued,
    receipts,
    lines,
    get,
    send,
    post,
    postText,
    postForm,
    codeOf,
    start,
  }
}

/** A store that takes no start without a challenge, as a rule in mode `challenge` does. */
export const demanding = (verifications: Verifications): Verifications => ({
  ...verifications,
  start: async (request) =>
    request.challenge ? verifications.start(request) : refused('challenge_required'),
})

export type Api = ReturnType<typeof apiOn>

/** The API on a store that fails in one way whatever it is asked. */
export function failingApi(fault: Error) {
  const fail = () => Promise.reject(fault)
  const verifications = {
    start: fail,
    replayStart: fail,
    resend: fail,
    findDestination: fail,
    findTag: fail,
    check: fail,
    checkDestination: fail,
    cancel: fail,
    read: fail,
    readMany: fail,
  }
  return createApp({
    config: { ...DEFAULTS, pythonRoutes: true },
    ring: ringOf(DEFAULTS),
    verifications,
    challenger: challengerOf(testVault),
    destinations: { rebind: fail, erase: fail },
    streams: createStreams({ readMany: fail, limits: STREAMS, log: keptLog([]) }),
    enqueue: () => {},
    takeReceipt: fail,
    takeInbound: async () => false,
    readiness: async () => 'redis_unreachable',
    formAnswerMs: 0,
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
