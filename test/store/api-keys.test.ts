/** The API keys kept in Redis: what is written of one, what revoking leaves, how long they live, and Redis in trouble. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { connectForRequests } from '#runtime/redis.ts'
import { createApiKeys } from '#store/api-keys.ts'
import { createKeys } from '#store/keys.ts'
import { freshPrefix, keysWithoutTtl, silentLog, useRedis } from '#test/fixtures/redis.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { DEFAULT_SCOPES, digestOf, newApiKey } from '#verification/api-key.ts'
import type { Application } from '#verification/verification.ts'

const connection = useRedis()
const YEAR_MS = 365 * 24 * 3_600_000
let prefix = ''

function stored() {
  prefix = freshPrefix()
  const keys = createKeys(prefix)
  return { apiKeys: createApiKeys({ redis: connection.redis, keys }), name: keys.apiKeys() }
}

function made(application = 'shop') {
  const { id, key } = newApiKey()
  const digest = digestOf(key).toString('base64url')
  return { key, record: { id, application: application as Application, scopes: DEFAULT_SCOPES, digest } }
}

afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

describe('a key that was made', () => {
  it('is listed with holder, scopes and time, and Redis holds its SHA-256 but not the key', async () => {
    const { apiKeys, name } = stored()
    const { key, record } = made()
    await apiKeys.create(record)
    const { keys, unreadable } = await apiKeys.list()
    expect({ keys, unreadable }).toEqual({
      keys: [{ ...record, createdAtMs: expect.any(Number) }],
      unreadable: 0,
    })
    expect(Math.abs(Date.now() - (keys[0]?.createdAtMs ?? 0))).toBeLessThan(60_000)
    const kept = JSON.stringify(await connection.redis.hgetall(name))
    expect(kept).toContain(record.digest)
    for (const part of [key, key.slice(4), key.slice(4, 20)]) expect(kept).not.toContain(part)
  })

  it('lives for ten years', async () => {
    const { apiKeys, name } = stored()
    await apiKeys.create(made().record)
    const life = await connection.redis.pttl(name)
    expect(life).toBeGreaterThan(9.99 * YEAR_MS)
    expect(life).toBeLessThanOrEqual(10 * YEAR_MS)
  })

  it.each([
    ['half of it is over', 5 * YEAR_MS - 1_000],
    ['next to nothing is left', 60_000],
  ])('lives ten more once it is read when %s', async (_, leftMs) => {
    const { apiKeys, name } = stored()
    await apiKeys.create(made().record)
    await connection.redis.pexpire(name, leftMs)
    await apiKeys.list()
    await vi.waitFor(async () => expect(await connection.redis.pttl(name)).toBeGreaterThan(9 * YEAR_MS))
  })

  it('is not written to by reading while more than half of its life is left', async () => {
    const { apiKeys, name } = stored()
    await apiKeys.create(made().record)
    await connection.redis.pexpire(name, 6 * YEAR_MS)
    await apiKeys.list()
    await apiKeys.list()
    expect(await connection.redis.pttl(name)).toBeLessThanOrEqual(6 * YEAR_MS)
  })

  it('does not take the place of another of the same id', async () => {
    const { apiKeys } = stored()
    const first = made().record
    await apiKeys.create(first)
    await expect(apiKeys.create({ ...made('bank').record, id: first.id })).rejects.toThrow('same id')
    expect((await apiKeys.list()).keys).toMatchObject([first])
  })
})

describe('a key that was revoked', () => {
  it('is told of in lists, and nothing is left that a key could be compared with', async () => {
    const { apiKeys, name } = stored()
    const { record } = made()
    await apiKeys.create(record)
    expect(await apiKeys.revoke(record.id)).toBe('revoked')
    const [kept] = (await apiKeys.list()).keys
    expect(kept).toEqual({
      ...record,
      digest: '',
      createdAtMs: expect.any(Number),
      revokedAtMs: expect.any(Number),
    })
    expect(kept?.revokedAtMs).toBeGreaterThanOrEqual(kept?.createdAtMs ?? Number.NaN)
    expect(JSON.stringify(await connection.redis.hgetall(name))).not.toContain(record.digest)
  })

  it('stays revoked, and the others stay', async () => {
    const { apiKeys } = stored()
    const [one, other] = [made().record, made('bank').record]
    await apiKeys.create(one)
    await apiKeys.create(other)
    await apiKeys.revoke(one.id)
    expect(await apiKeys.revoke(one.id)).toBe('was_revoked')
    const live = (await apiKeys.list()).keys.filter(({ revokedAtMs }) => revokedAtMs === undefined)
    expect(live).toMatchObject([other])
  })

  it('that never was is unknown, and leaves nothing', async () => {
    const { apiKeys } = stored()
    expect(await apiKeys.revoke('bcdfghjkmn')).toBe('unknown')
    expect(await apiKeys.list()).toEqual({ keys: [], unreadable: 0 })
  })
})

it('they are listed oldest first', async () => {
  const { apiKeys } = stored()
  const records = Array.from({ length: 20 }, () => made().record)
  for (const record of records) await apiKeys.create(record)
  const times = (await apiKeys.list()).keys.map(({ createdAtMs }) => createdAtMs)
  expect(times).toHaveLength(20)
  expect(times).toEqual(times.toSorted((one, other) => one - other))
})

it.each([
  ['an id of another kind', 'admin', 'shop send 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'],
  [
    'the form’s application and more than admin',
    'bcdfghjkmn',
    'form send 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  ],
  ['a scope nobody knows', 'bcdfghjkmn', 'shop all 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'],
  ['a digest cut short', 'bcdfghjkmn', 'shop send 1 aaaa'],
  ['no digest', 'bcdfghjkmn', 'shop send 1'],
  ['nothing', 'bcdfghjkmn', ''],
])('a record with %s counts for nobody, and is told of', async (_, id, record) => {
  const { apiKeys, name } = stored()
  await apiKeys.create(made().record)
  await connection.redis.hset(name, id, record)
  const { keys, unreadable } = await apiKeys.list()
  expect([keys.length, unreadable]).toEqual([1, 1])
})

it('a Redis that refuses writes still tells of revocations', async () => {
  const server = await startOwnRedis()
  const redis = connectForRequests(server.url, silentLog)
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()))
  const keys = createKeys(freshPrefix())
  const apiKeys = createApiKeys({ redis, keys })
  const { record } = made()
  await apiKeys.create(record)
  await apiKeys.revoke(record.id)
  await redis.pexpire(keys.apiKeys(), 60_000)
  await redis.config('SET', 'min-replicas-to-write', '1')
  expect((await apiKeys.list()).keys).toMatchObject([{ id: record.id, revokedAtMs: expect.any(Number) }])
  redis.disconnect()
  await server.stop()
})
