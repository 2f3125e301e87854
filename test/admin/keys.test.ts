/** `npm run keys` as it runs: what it prints where, what it refuses, and that it never repeats a secret. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createApiKeys } from '#store/api-keys.ts'
import { createKeys } from '#store/keys.ts'
import { freshPrefix, keysWithoutTtl, testRedisUrl, useRedis } from '#test/fixtures/redis.ts'
import { digestOf } from '#verification/api-key.ts'

const ROOT = join(import.meta.dirname, '../..')
const connection = useRedis()
let prefix = ''

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

function operator(env: Record<string, string> = {}) {
  prefix = freshPrefix()
  const own = { PATH: process.env.PATH, REDIS_URL: testRedisUrl(), REDIS_PREFIX: prefix, ...env }
  const keys = (...args: string[]) => {
    const options = { cwd: ROOT, encoding: 'utf8', env: own, timeout: 10_000 } as const
    const { status, stdout, stderr } = spawnSync(process.execPath, ['apps/admin/keys.ts', ...args], options)
    return { status, stdout, stderr }
  }
  return { keys, stored: createApiKeys({ redis: connection.redis, keys: createKeys(prefix) }) }
}

describe('create', () => {
  it('prints the key once, alone on stdout, and keeps only its digest', async () => {
    const { keys, stored } = operator()
    const { status, stdout, stderr } = keys('create', 'shop')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^2fa_[\w-]{43}\n$/)
    const [kept] = (await stored.list()).keys
    expect(kept).toMatchObject({
      application: 'shop',
      scopes: ['send', 'check', 'read'],
      digest: digestOf(stdout.trim()).toString('base64url'),
    })
    expect(stderr).toContain(kept?.id)
    expect(stderr).toContain('within five seconds')
    expect(stderr + keys('list').stdout).not.toContain(stdout.trim())
  })

  it('takes scopes, and shows them', async () => {
    const { keys, stored } = operator()
    expect(keys('create', 'ops', '--scopes', 'read,admin').stderr).toContain('read+admin')
    expect((await stored.list()).keys).toMatchObject([{ application: 'ops', scopes: ['read', 'admin'] }])
  })

  it.each([
    ['in production by default', { NODE_ENV: 'production' }],
    ['when switched off', { API_KEYS_IN_REDIS: 'off' }],
  ])('says when APIs with these settings do not take it: %s', (_, env) => {
    expect(operator(env).keys('create', 'shop').stderr).toContain('API_KEYS_IN_REDIS is off here')
  })

  it('says nothing of it where they do', () => {
    const { keys } = operator({ NODE_ENV: 'production', API_KEYS_IN_REDIS: 'on' })
    expect(keys('create', 'shop').stderr).not.toContain('API_KEYS_IN_REDIS')
  })
})

describe('revoke and list', () => {
  it('tell what became of every key', () => {
    const { keys } = operator()
    keys('create', 'shop')
    keys('create', 'bank')
    const [head = '', ...rows] = keys('list').stdout.trimEnd().split('\n')
    expect(head).toMatch(/^ID +APPLICATION +SCOPES +CREATED +STATE$/)
    expect(rows.map((row) => row.split(/ +/).slice(1, 3).join(' ')).sort()).toEqual([
      'bank send+check+read',
      'shop send+check+read',
    ])
    const id = rows[0]?.slice(0, 10) ?? ''
    expect(keys('revoke', id)).toMatchObject({ status: 0, stderr: expect.stringMatching(/^Revoked/) })
    expect(keys('revoke', id)).toMatchObject({ status: 0, stderr: expect.stringContaining('before') })
    const states = keys('list').stdout.trimEnd().split('\n').slice(1)
    expect(states.map((row) => row.startsWith(id)).sort()).toEqual([false, true])
    for (const row of states) expect(row).toMatch(row.startsWith(id) ? / revoked \d{4}-.*Z$/ : / counts$/)
  })

  it('an id that is nowhere is an error', () => {
    expect(operator().keys('revoke', 'bcdfghjkmn')).toMatchObject({ status: 1 })
  })
})

describe('a mistake', () => {
  it.each([
    [[]],
    [['create']],
    [['create', 'Shop']],
    [['create', 'form']],
    [['create', 'form', '--scopes', 'read,admin']],
    [['create', 'shop', 'bank']],
    [['create', 'shop', '--scopes', 'send,chek']],
    [['create', 'shop', '--scopes']],
    [['create', 'shop', '--scope', 'send']],
    [['list', 'shop']],
    [['list', '--scopes', 'send']],
    [['revoke']],
    [['revoke', '2fa_marker-marker-marker-marker-marker-marker-m']],
    [['delete', 'bcdfghjkmn']],
  ])('%j is said, with the usage, and nothing is done', async (args) => {
    const { keys, stored } = operator()
    const { status, stdout, stderr } = keys(...args)
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain('npm run keys -- create NAME')
    expect(stderr).not.toContain('marker')
    expect((await stored.list()).keys).toEqual([])
  })

  it('in the settings is said by name, all at once', () => {
    const { status, stderr } = operator({
      REDIS_URL: 'marker',
      REDIS_PREFIX: 'MARKER',
      API_KEYS_IN_REDIS: 'yes',
    }).keys('list')
    expect(status).toBe(1)
    for (const name of ['REDIS_URL', 'REDIS_PREFIX', 'API_KEYS_IN_REDIS']) expect(stderr).toContain(name)
    expect(stderr).not.toMatch(/marker/i)
  })
})

it('a Redis that is not there is said without its address, which may hold a password', () => {
  const { keys } = operator({ REDIS_URL: 'redis://:marker@127.0.0.1:1' })
  const { status, stdout, stderr } = keys('create', 'shop')
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toContain('REDIS_URL')
  expect(stderr).toContain('Look with list.')
  expect(stderr).not.toContain('marker')
  expect(keys('list').stderr).toMatch(/ Is REDIS_URL that of the APIs\?\n$/)
})
