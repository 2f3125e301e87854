/** API keys and secrets that change under the programs as they run: what is made, revoked or rotated holds at once. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { watch } from '#test/dev/processes.ts'
import { testRedisUrl } from '#test/fixtures/redis.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Program, type Service, startService } from '#test/fixtures/service.ts'

const ROOT = join(import.meta.dirname, '../..')
/** What is promised, from the end of the operator's command to the last API. */
const SOON_MS = 5_000

let service: Service | undefined
afterEach(async () => {
  await service?.stop()
  service = undefined
})

async function running(options: Partial<Parameters<typeof startService>[0]> = {}): Promise<Service> {
  service = await startService({ redisUrl: testRedisUrl(), workers: 0, ...options })
  await service.ready()
  return service
}

/** `npm run keys -- …`, as npm runs it; answers what it wrote on stdout. */
async function keys({ prefix }: Service, redisUrl: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, REDIS_URL: redisUrl, REDIS_PREFIX: prefix }
  const program = watch(process.execPath, ['apps/dev/run.mjs', 'apps/admin/keys.ts', ...args], {
    cwd: ROOT,
    env,
  })
  expect(await program.ended, program.output()).toEqual({ code: 0, signal: null })
  return program.output()
}

const keyIn = (output: string) => /2fa_[\w-]{43}/.exec(output)?.[0] ?? ''
const idIn = (output: string) => /API key ([a-z]{10}) of/.exec(output)?.[1] ?? ''

async function start(api: Program | undefined, key?: string): Promise<number> {
  const headers = {
    'Content-Type': 'application/json',
    ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
  }
  const body = JSON.stringify({ to: numberEnding() })
  return (await fetch(`${api?.url}/v1/verifications`, { method: 'POST', headers, body })).status
}

const soon = (look: () => Promise<void>) => vi.waitFor(look, { timeout: SOON_MS, interval: 50 })

describe('npm run keys', () => {
  it('makes a key that every running API takes within five seconds, and revokes it within five', {
    timeout: 40_000,
  }, async () => {
    const system = await running({ apis: 2 })
    const redisUrl = testRedisUrl()
    const statuses = (key?: string) => Promise.all(system.apis.map((api) => start(api, key)))
    expect(await statuses()).toEqual([202, 202])

    const made = await keys(system, redisUrl, 'create', 'shop')
    await soon(async () => expect(await statuses()).toEqual([401, 401]))
    expect(await statuses(keyIn(made))).toEqual([202, 202])
    const other = await keys(system, redisUrl, 'create', 'bank', '--scopes', 'check')
    await soon(async () => expect(await statuses(keyIn(other))).toEqual([403, 403]))

    await keys(system, redisUrl, 'revoke', idIn(made))
    await soon(async () => expect(await statuses(keyIn(made))).toEqual([401, 401]))
    await keys(system, redisUrl, 'revoke', idIn(other))
    await soon(async () => expect(await statuses(keyIn(other))).toEqual([401, 401]))
    expect(await statuses(), 'revoking the last one opens nothing').toEqual([401, 401])

    for (const { output } of system.apis) {
      expect(output()).toContain(idIn(made))
      expect(output()).not.toContain(keyIn(made).slice(4))
    }
  })

  it('is all a production API needs: without a key it is closed, and Redis away keeps what was known', {
    timeout: 60_000,
  }, async () => {
    const redis = await startOwnRedis()
    onTestFinished(() => redis.stop())
    const secret = () => randomBytes(32).toString('base64')
    const env = {
      NODE_ENV: 'production',
      API_KEYS_IN_REDIS: 'on',
      CODE_KEYS: `k1:${secret()}`,
      DESTINATION_KEYS: `d1:${secret()}`,
    }
    const system = await running({ redisUrl: redis.url, env })
    const [api] = system.apis
    expect(await start(api)).toBe(401)
    const key = keyIn(await keys(system, redis.url, 'create', 'shop'))
    await soon(async () => expect(await start(api, key)).toBe(202))

    redis.freeze()
    await vi.waitFor(() => expect(api?.output()).toContain('API keys of Redis not read'), 10_000)
    expect([await start(api, key), await start(api, `${key}x`)]).toEqual([503, 401])
    redis.thaw()
    await vi.waitFor(async () => expect(await start(api, key)).toBe(202), 10_000)
  })
})

it('API_KEYS_FILE is read again: a key added counts and one removed ends within five seconds', {
  timeout: 30_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sms-2fa-keys-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'api-keys')
  const [one, other] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  writeFileSync(file, `shop:${one}`)
  const system = await running({ env: { API_KEYS_FILE: file } })
  const [api] = system.apis
  const statuses = async () => [await start(api, one), await start(api, other)]
  expect(await statuses()).toEqual([202, 401])
  writeFileSync(file, `shop:${one},shop:${other}`)
  await soon(async () => expect(await statuses()).toEqual([202, 202]))
  writeFileSync(file, 'shop:marker')
  await soon(async () => expect(api?.output()).toContain('API_KEYS_FILE is wrong'))
  expect(await statuses()).toEqual([202, 202])
  writeFileSync(file, `shop:${other}`)
  await soon(async () => expect(await statuses()).toEqual([401, 202]))
  expect(api?.output()).not.toMatch(new RegExp(`marker|${one}|${other}`))
})

it('CODE_KEYS rotate in three rounds of restarts, and what was opened in any of them is delivered and approved', {
  timeout: 90_000,
}, async () => {
  const [old, fresh] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
  const rounds = [`k1:${old}`, `k1:${old},k2:${fresh}`, `k2:${fresh},k1:${old}`, `k2:${fresh}`]
  const system = await running({ env: { CODE_KEYS: rounds[0] ?? '' } })
  const post = async (api: Program | undefined, path: string, body: unknown) => {
    const headers = { 'Content-Type': 'application/json' }
    const answer = await fetch(`${api?.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return (await answer.json()) as Record<string, unknown>
  }
  const open = async (api: Program | undefined) => {
    const to = numberEnding()
    return { to, id: (await post(api, '/v1/verifications', { to })).id }
  }
  const approved = async (api: Program, { to, id }: { to: string; id: unknown }) => {
    const code = await system.codeAt(to)
    expect(await post(api, `/v1/verifications/${id}/checks`, { code })).toMatchObject({ result: 'approved' })
  }
  const stop = async (...programs: (Program | undefined)[]) => {
    for (const program of programs) program?.kill('SIGTERM')
    await Promise.all(programs.map((program) => program?.ended))
  }

  // No worker yet: these two lie in the queue, sealed with the old key.
  const waiting = [await open(system.apis[0]), await open(system.apis[0])]
  await stop(system.apis[0])
  let [api, worker]: (Program | undefined)[] = []
  for (const [round, CODE_KEYS] of rounds.entries()) {
    if (round === 0) continue
    await stop(api, worker)
    api = await system.startApi({ CODE_KEYS })
    worker = await system.startWorker({ CODE_KEYS })
    await Promise.all([api.ready(), worker.ready()])
    const [before] = waiting.splice(0, 1)
    if (before) await approved(api, before)
    const now = await open(api)
    await approved(api, now)
  }
  expect(waiting).toEqual([])
})
