/** Where API keys come from while the API runs: what is made or revoked counts or ends, what is wrong changes nothing. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createKeyRing } from '#api/key-ring.ts'
import { followKeys } from '#api/key-sources.ts'
import { connectForRequests } from '#runtime/redis.ts'
import { type ApiKeys, createApiKeys } from '#store/api-keys.ts'
import { createKeys } from '#store/keys.ts'
import { freshPrefix, silentLog, useRedis } from '#test/fixtures/redis.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { digestOf, newApiKey, SCOPES } from '#verification/api-key.ts'
import type { Application } from '#verification/verification.ts'
import { apiKey, apiOn, expectProblem, jsonOf, KEYS, keptLog, type Line } from './api.ts'

const connection = useRedis()
const as = (key: string) => ({ Authorization: `Bearer ${key}` })
const noKeys: ApiKeys = {
  list: async () => ({ keys: [], unreadable: 0 }),
  create: async () => {},
  revoke: async () => 'unknown',
}

type Sources = Parameters<typeof followKeys>[0]['config']

function followed({ config, apiKeys = noKeys }: { config?: Partial<Sources>; apiKeys?: ApiKeys }) {
  const ring = createKeyRing({ production: false })
  const lines: Line[] = []
  const changes: string[][] = []
  const { look, stop } = followKeys({
    config: { apiKeys: [], apiKeysFile: '', keysInRedis: true, ...config },
    apiKeys,
    ring,
    log: keptLog(lines),
    onChange: () => void changes.push(ring.applications()),
  })
  onTestFinished(stop)
  return { ring, lines, changes, look }
}

async function make(apiKeys: ApiKeys, application: string) {
  const { id, key } = newApiKey()
  const digest = digestOf(key).toString('base64url')
  await apiKeys.create({ id, application: application as Application, scopes: SCOPES, digest })
  return { id, key }
}

describe('the keys of Redis', () => {
  const stored = () => createApiKeys({ redis: connection.redis, keys: createKeys(freshPrefix()) })

  it('count from the next look on, and end with it', async () => {
    const apiKeys = stored()
    const { ring, look, changes } = followed({ apiKeys })
    await look()
    expect(ring.isOpen()).toBe(true)
    const one = await make(apiKeys, 'shop')
    const other = await make(apiKeys, 'bank')
    await look()
    expect([ring.isOpen(), ring.find(one.key), ring.find(other.key)]).toMatchObject([
      false,
      { id: one.id, application: 'shop' },
      { id: other.id, application: 'bank' },
    ])
    await apiKeys.revoke(one.id)
    await look()
    expect([ring.find(one.key), ring.find(other.key)]).toMatchObject([undefined, { id: other.id }])
    await apiKeys.revoke(other.id)
    await look()
    expect([ring.find(other.key), ring.isOpen()]).toEqual([undefined, false])
    expect(changes.map((applications) => applications.toSorted())).toEqual([
      [],
      ['bank', 'shop'],
      ['bank'],
      [],
    ])
  })

  it('are said once a change, by their number', async () => {
    const apiKeys = stored()
    const { look, lines } = followed({ apiKeys })
    await look()
    await look()
    const { key } = await make(apiKeys, 'shop')
    await look()
    await look()
    expect(lines.map(({ msg, count }) => `${msg} ${count}`)).toEqual([
      'API keys of Redis read 0',
      'API keys of Redis read 1',
    ])
    expect(JSON.stringify(lines)).not.toContain(key)
  })

  it('that cannot be read are said, and close the door like any other', async () => {
    const redis = connection.redis
    const keys = createKeys(freshPrefix())
    await redis.hset(keys.apiKeys(), 'bcdfghjkmn', 'shop all 1 x')
    await redis.pexpire(keys.apiKeys(), 60_000)
    const { ring, look, lines } = followed({ apiKeys: createApiKeys({ redis, keys }) })
    await look()
    expect(ring.isOpen()).toBe(false)
    expect(lines).toMatchObject([{ count: 0 }, { level: 'error', count: 1 }])
  })

  it('switched off count for nobody, and nobody waits for them', async () => {
    const apiKeys = stored()
    const { key } = await make(apiKeys, 'shop')
    const { ring, look } = followed({ apiKeys, config: { keysInRedis: false } })
    await look()
    expect([ring.isComplete(), ring.find(key)]).toEqual([true, undefined])
  })

  it('while Redis is away stay as they were, which is one line of the log, and go on when it is back', {
    timeout: 30_000,
  }, async () => {
    const server = await startOwnRedis()
    onTestFinished(() => server.stop())
    const redis = connectForRequests(server.url, silentLog)
    onTestFinished(() => redis.disconnect())
    await new Promise<void>((resolve) => redis.once('ready', () => resolve()))
    const apiKeys = createApiKeys({ redis, keys: createKeys(freshPrefix()) })
    const [one, other] = [await make(apiKeys, 'shop'), await make(apiKeys, 'bank')]
    const { ring, look, lines } = followed({ apiKeys })
    await look()
    server.freeze()
    await look()
    await look()
    expect([ring.find(one.key), ring.find(other.key)]).toMatchObject([{ id: one.id }, { id: other.id }])
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    server.thaw()
    await apiKeys.revoke(one.id)
    await look()
    expect([ring.find(one.key), ring.find(other.key)]).toMatchObject([undefined, { id: other.id }])
  })
})

describe('before the keys of Redis were read once', () => {
  it('a key of the environment works, and any other is 503: it may be a good one', async () => {
    const api = apiOn(connection.redis)
    const ring = createKeyRing({ production: false })
    ring.setConfigured([apiKey('shop', KEYS.shop)])
    const early = apiOn(connection.redis, { ring })
    await jsonOf(await early.post('/v1/checks', {}, as(KEYS.shop)), 400)
    const response = await early.post('/v1/checks', {}, as(KEYS.bank))
    expect(response.headers.get('Retry-After')).toBe('1')
    await expectProblem(response, 503, 'service_unavailable')
    expect(api.enqueued).toEqual([])
  })

  it('nothing is open', async () => {
    const ring = createKeyRing({ production: false })
    ring.setConfigured([])
    await expectProblem(
      await apiOn(connection.redis, { ring }).post('/v1/checks', {}),
      503,
      'service_unavailable',
    )
  })
})

describe('API_KEYS_FILE', () => {
  function file(text: string) {
    const folder = mkdtempSync(join(tmpdir(), 'sms-2fa-keys-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'api-keys')
    writeFileSync(path, text)
    return { path, write: (next: string) => writeFileSync(path, next), remove: () => rmSync(path) }
  }
  const SHOP = `shop:${KEYS.shop}`
  const BANK = `bank:${KEYS.bank}`
  const start = (path: string) =>
    followed({ config: { apiKeys: [apiKey('shop', KEYS.shop)], apiKeysFile: path, keysInRedis: false } })
  const known = (ring: ReturnType<typeof createKeyRing>) =>
    [KEYS.shop, KEYS.bank].map((key) => ring.find(key)?.application)

  it('is read again: a key added counts, one removed ends, and both may be live in between', async () => {
    const { path, write } = file(SHOP)
    const { ring, look, changes } = start(path)
    await look()
    expect(known(ring)).toEqual(['shop', undefined])
    write(`${SHOP},${BANK}\n`)
    await look()
    expect(known(ring)).toEqual(['shop', 'bank'])
    write(`shop/check:${KEYS.bank}`)
    await look()
    expect(known(ring)).toEqual([undefined, 'shop'])
    expect(ring.find(KEYS.bank)?.scopes).toEqual(['check'])
    expect(changes).toEqual([['shop'], ['shop', 'bank'], ['shop']])
  })

  it('put in place of the old one by a rename is read, too', async () => {
    const { path } = file(SHOP)
    const { ring, look } = start(path)
    writeFileSync(`${path}.new`, BANK)
    renameSync(`${path}.new`, path)
    await look()
    expect(known(ring)).toEqual([undefined, 'bank'])
  })

  it.each([
    ['a short key', 'shop:marker'],
    ['a scope that is misspelt', `shop/snd:${KEYS.shop}marker`],
    ['the same key twice', `${BANK},shop:${KEYS.bank}`],
    ['half a line', `${BANK},sho`],
    ['nothing', ''],
    ['white space', '\n\n'],
  ])('with %s changes nothing, which is said once and without a value', async (_, text) => {
    const { path, write } = file(SHOP)
    const { ring, look, lines } = start(path)
    await look()
    write(text)
    await look()
    await look()
    expect(known(ring)).toEqual(['shop', undefined])
    const errors = lines.filter(({ level }) => level === 'error')
    expect(errors).toMatchObject([{ reason: expect.stringMatching(/^API_KEYS/) }])
    expect(JSON.stringify(errors)).not.toMatch(/marker|0123456789abcdef/)
    write(BANK)
    await look()
    expect(known(ring)).toEqual([undefined, 'bank'])
  })

  it('that is gone changes nothing, which is said once, and is read when it is back', async () => {
    const { path, write, remove } = file(SHOP)
    const { ring, look, lines } = start(path)
    await look()
    remove()
    await look()
    await look()
    expect(known(ring)).toEqual(['shop', undefined])
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ fault: 'Error ENOENT' }])
    write(BANK)
    await look()
    expect(known(ring)).toEqual([undefined, 'bank'])
  })
})
