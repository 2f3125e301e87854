/** The model of test/store/promises.test.ts over three API processes and HTTP: every answer is the one foretold. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createReader } from '#runtime/env.ts'
import { readSettings } from '#runtime/settings.ts'
import { NO_LIMITS } from '#test/fixtures/no-limits.ts'
import { keysWithoutTtl, testRedisUrl, useRedis } from '#test/fixtures/redis.ts'
import { startService } from '#test/fixtures/service.ts'
import { APPLICATION, freshDestination, storeOn, vaultOf } from '#test/fixtures/store.ts'
import { expectKept, type Limits, newModel, PROCESSES, play, type Service, step } from '#test/store/model.ts'
import type { VerificationId } from '#verification/verification.ts'

const KEYS = { use: 'use-key-0123456789abcdef0123456789ab', admin: 'admin-key-0123456789abcdef0123456789' }
/** The limits of a number as they are, but for two tries a verification, so that a short history reaches them. */
const LIMITS: Limits = {
  eachSends: 4,
  eachWrong: 2,
  sends: 5,
  wrong: 10,
  row: 100,
  payments: 5,
  guesses: Number.POSITIVE_INFINITY,
}
const HISTORIES = 6

const connection = useRedis()
let running: Awaited<ReturnType<typeof startService>>

beforeAll(async () => {
  running = await startService({
    redisUrl: testRedisUrl(),
    apis: PROCESSES,
    workers: 0,
    env: {
      ...NO_LIMITS,
      CHECKS_MAX: String(LIMITS.eachWrong),
      RESEND_CODE: 'new',
      API_KEYS: `shop:${KEYS.use},shop/admin:${KEYS.admin}`,
    },
  })
  await running.ready()
})
afterAll(() => running.stop())

/** Over HTTP what the store answers when it is asked directly. */
function overHttp(): Service {
  const vault = vaultOf(readSettings(createReader({})).codeKeys)
  const first = storeOn(connection.redis, { checksMax: LIMITS.eachWrong }, { prefix: running.prefix, vault })

  async function call(api: number, method: string, path: string, body?: object, key: string = KEYS.use) {
    const headers = { Authorization: `Bearer ${key}`, ...(body && { 'Content-Type': 'application/json' }) }
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) }
    const response = await fetch(`${running.apis[api]?.url}/v1${path}`, init)
    const text = await response.text()
    const answer = text === '' ? {} : JSON.parse(text)
    if (response.status >= 400) return { kind: 'refused' as const, refusal: answer.code }
    if ('result' in answer) {
      const { result: verdict, checks_left: checksLeft, verification: id } = answer
      return { kind: 'checked' as const, id, verdict, checksLeft, explain: '' }
    }
    if ('delivery' in answer)
      return { kind: answer.delivery.send > 1 ? 'sent_again' : 'started', id: answer.id }
    return { kind: 'canceled' as const }
  }

  /** What the wait between two sends does to every verification, and the wait after the last one. */
  async function waitForNextSend(): Promise<void> {
    for (const key of await connection.redis.keys(`${first.keys.verifications(APPLICATION)}*`)) {
      const [next, sends] = await connection.redis.hmget(key, 'next_send', 'sends')
      await connection.redis.hset(key, next === '0' ? `${sends}:at` : 'next_send', 1)
    }
  }

  const at = (api: number) => ({
    verifications: {
      async start({
        destination: to,
        purpose,
        context,
      }: {
        destination: string
        purpose: string
        context?: object
      }) {
        await waitForNextSend()
        return call(api, 'POST', '/verifications', { to, purpose, ...(context && { context }) })
      },
      async resend(_: unknown, id: VerificationId) {
        await waitForNextSend()
        return call(api, 'POST', `/verifications/${id}/sends`)
      },
      check: ({ id, code, context }: { id: string; code: string; context?: object }) =>
        call(api, 'POST', `/verifications/${id}/checks`, { code, ...(context && { context }) }),
      checkDestination: (asked: { destination: string; purpose: string; code: string; context?: object }) => {
        const { destination: to, purpose, code, context } = asked
        return call(api, 'POST', '/checks', { to, purpose, code, ...(context && { context }) })
      },
      cancel: (_: unknown, id: VerificationId) => call(api, 'DELETE', `/verifications/${id}`),
    },
    destinations: {
      rebind: (_: unknown, to: string) => call(api, 'POST', '/destinations/rebind', { to }, KEYS.admin),
      erase: (_: unknown, to: string) => call(api, 'POST', '/destinations/erase', { to }, KEYS.admin),
    },
  })
  return { first, at } as unknown as Service
}

it('over three API processes every answer is the one foretold', { timeout: 60_000 }, async () => {
  const words = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 50 }), async (steps) => {
      const [service, model, to] = [overHttp(), newModel(LIMITS), freshDestination()]
      for (const at of steps) await play(service, model, to, at)
      await expectKept(service, model)
      for (const { status } of model.every) words.add(status)
      expect(await keysWithoutTtl(connection.redis, running.prefix)).toEqual([])
    }),
    // A history that fails is shown as it is: to shorten it would take longer than to read it.
    { numRuns: HISTORIES, endOnFailure: true },
  )
  expect([...words]).toContain('approved')
})
