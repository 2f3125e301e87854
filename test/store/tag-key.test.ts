/**
 * The key that numbers are counted under, as several programs on one Redis hold it: one key whoever comes first, whatever
 * becomes of Redis, and none at all where it does not open.
 */
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKeys } from '#store/keys.ts'
import { StoreFault } from '#store/script.ts'
import { createTagKey } from '#store/tag-key.ts'
import { freshPrefix, keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination } from '#test/fixtures/store.ts'
import { createChallenges } from '#verification/challenge.ts'
import { type Context, parseContext } from '#verification/context.ts'
import { DEFAULT_POLICY } from '#verification/policy.ts'
import type { MasterKey } from '#verification/sealing.ts'
import { createTagKeySeals, newTagKey } from '#verification/tag-key.ts'
import type { Tags } from '#verification/tags.ts'
import { createVault, type Vault } from '#verification/vault.ts'
import { DEFAULT_PURPOSE } from '#verification/verification.ts'

const connection = useRedis()
const NOW = 1_795_000_000_000
const YEAR_MS = 365 * 24 * 3_600_000
const keyNamed = (id: string): MasterKey => ({ id, secret: randomBytes(32) })
const [oldKey, newKey, foreignKey] = [keyNamed('k1'), keyNamed('k2'), keyNamed('k9')]
const number = freshDestination()
const payment = parseContext({ amount: '1249.90', currency: 'EUR', payee: 'Corner Shop' }) as Context

let prefix = ''
afterEach(async () => {
  expect(await keysWithoutTtl(connection.redis, prefix), 'every key expires').toEqual([])
})

const nameOf = () => createKeys(prefix).tagKey()
const standing = () => connection.redis.get(nameOf())

function program(destinationKeys: readonly MasterKey[], redis: Redis = connection.redis) {
  const tagKey = createTagKey({ redis, keys: createKeys(prefix), policy: DEFAULT_POLICY, destinationKeys })
  return { ...tagKey, tag: () => tagKey.tags().tagDestination(number) }
}

async function begun(destinationKeys: readonly MasterKey[]) {
  const one = program(destinationKeys)
  await one.look()
  return one
}

/** One that keeps looking: whenever the connection is said to be ready. */
function watched(destinationKeys: readonly MasterKey[]) {
  const lines: unknown[] = []
  let ready = async () => {}
  const on = (_event: string, look: () => Promise<void>) => {
    ready = look
  }
  const one = program(destinationKeys, meddled({ on }))
  const stop = one.keep({
    error: ({ reason }, message) => lines.push(['error', reason, message]),
    info: (_fields, message) => lines.push(['info', message]),
  })
  stop()
  return { one, lines, ready: () => ready() }
}

/** The connection, but for what is replaced. */
const meddled = (methods: object): Redis => Object.assign(Object.create(connection.redis), methods)

/** Everything that is made with it. */
function namesBy(vault: Vault): string[] {
  const destinationTag = vault.tagDestination(number)
  const owner = { application: APPLICATION, destinationTag, purpose: DEFAULT_PURPOSE }
  const prefixTag = vault.tagPart('prefix', number.slice(0, -4))
  return [destinationTag, prefixTag, vault.fingerprint(['start', 'x']), vault.tagContext(payment, owner)]
}

function challengeBy(tags: () => Tags) {
  const scope = { application: APPLICATION, destinationTag: 'tag', network: '' }
  const { token } = createChallenges(tags).issue({ ...scope, bits: 10, nowMs: NOW })
  const reasonBy = (others: () => Tags) => {
    const verdict = createChallenges(others).verify(token, '0', { ...scope, nowMs: NOW })
    return verdict.kind === 'failed' && verdict.reason
  }
  // Ours, and without the work.
  return { isOursFor: (others: () => Tags) => reasonBy(others) === 'unsolved' }
}

function deployment(): void {
  prefix = freshPrefix()
}

describe('the tag key', () => {
  it('is the same for twenty programs that begin at once, and for one that comes later', async () => {
    deployment()
    const programs = await Promise.all(Array.from({ length: 20 }, () => begun([oldKey])))
    expect(new Set([...programs, await begun([oldKey])].map(({ tag }) => tag())).size).toBe(1)
  })

  it('is another in each deployment, whatever its keys', async () => {
    deployment()
    const here = (await begun([oldKey])).tag()
    deployment()
    expect((await begun([oldKey])).tag()).not.toBe(here)
  })

  it('stands in Redis sealed, behind the name of its key, for ten years, renewed when half of it is over', async () => {
    deployment()
    const one = await begun([oldKey])
    expect(await standing()).toMatch(/^k1\.[\w-]{80}$/)
    const life = () => connection.redis.pttl(nameOf())
    expect(Math.abs((await life()) - 10 * YEAR_MS)).toBeLessThan(60_000)
    await connection.redis.pexpire(nameOf(), 6 * YEAR_MS)
    await one.look()
    expect(await life()).toBeLessThan(6 * YEAR_MS + 1)
    await connection.redis.pexpire(nameOf(), 4 * YEAR_MS)
    await one.look()
    await vi.waitFor(async () => expect(await life()).toBeGreaterThan(9 * YEAR_MS))
  })

  it('is not known before Redis has answered, and what needs it fails as if Redis were away', async () => {
    deployment()
    const one = program([oldKey])
    expect(one.problem()).toBe('tag_key_not_read')
    expect(one.tags).toThrow(StoreFault)
    await one.look()
    expect(one.problem()).toBeUndefined()
  })

  it('goes on being held while Redis is away', async () => {
    deployment()
    let away = false
    const exec = () => Promise.reject(new Error('Connection is closed.'))
    const pipeline = () => Object.assign(connection.redis.pipeline(), away && { exec })
    const one = program([oldKey], meddled({ pipeline }))
    await one.look()
    const tag = one.tag()
    away = true
    await expect(one.look()).rejects.toThrow(StoreFault)
    expect([one.tag(), one.problem()]).toEqual([tag, undefined])
  })
})

describe('sealed anew under another first key', () => {
  it('names every number as before', async () => {
    deployment()
    const before = await begun([oldKey])
    const after = await begun([newKey, oldKey])
    expect(await standing()).toMatch(/^k2\./)
    expect(after.tag()).toBe(before.tag())
    expect((await begun([newKey])).tag()).toBe(before.tag())
  })

  it('is not lost when twenty do it at once', async () => {
    deployment()
    const before = await begun([oldKey])
    const programs = await Promise.all(Array.from({ length: 20 }, () => begun([newKey, oldKey])))
    expect(new Set([before, ...programs, await begun([newKey])].map(({ tag }) => tag())).size).toBe(1)
  })

  it('overwrites nothing that came there meanwhile, and adopts it', async () => {
    deployment()
    await begun([oldKey])
    const other = createTagKeySeals([oldKey]).seal(newTagKey())
    let meddling = true
    const fcall = async (...call: Parameters<Redis['fcall']>) => {
      if (meddling) await connection.redis.set(nameOf(), other, 'PX', YEAR_MS)
      meddling = false
      return connection.redis.fcall(...call)
    }
    const late = program([newKey, oldKey], meddled({ fcall }))
    await late.look()
    expect(await standing()).toBe(other)
    expect(late.tag()).toBe((await begun([oldKey])).tag())
  })

  it('is held all the same where Redis takes no writes', async () => {
    deployment()
    const before = await begun([oldKey])
    const fcall = () => Promise.reject(new Error('READONLY You cannot write against a read only replica.'))
    const one = program([newKey, oldKey], meddled({ fcall }))
    await expect(one.look()).rejects.toThrow(StoreFault)
    expect([one.tag(), one.problem()]).toEqual([before.tag(), undefined])
    expect(await standing()).toMatch(/^k1\./)
  })
})

describe('a program whose keys do not open it', () => {
  const spoiled = () => `k1.${randomBytes(60).toString('base64url')}`
  it.each([
    ['lacks the key', () => undefined, [foreignKey], 'no_key k1'],
    ['has another key of that name', () => undefined, [{ ...foreignKey, id: 'k1' }], 'wrong_key k1'],
    ['finds it changed', spoiled, [oldKey], 'wrong_key k1'],
    ['finds what is none', () => 'marker', [oldKey], 'unreadable'],
    ['finds a name that is none', () => 'marker.marker', [oldKey], 'unreadable'],
  ])('because it %s counts nothing, changes nothing and says so once', async (_, found, keys, reason) => {
    deployment()
    await begun([oldKey])
    const text = found()
    if (text !== undefined) await connection.redis.set(nameOf(), text, 'PX', YEAR_MS)
    const before = await standing()
    const { one, lines, ready } = watched(keys)
    await ready()
    await ready()
    expect(one.problem()).toBe('tag_key_not_opened')
    expect(one.tags).toThrow(StoreFault)
    expect(await standing()).toBe(before)
    const said = [['error', reason, 'DESTINATION_KEYS do not open the tag key in Redis']]
    expect(lines).toEqual(said)

    await connection.redis.set(nameOf(), createTagKeySeals(keys).seal(newTagKey()), 'PX', YEAR_MS)
    await ready()
    await ready()
    expect(one.problem()).toBeUndefined()
    expect(lines).toEqual([...said, ['info', 'DESTINATION_KEYS open the tag key in Redis again']])
  })

  it('counts nothing either where it held one before, and goes on with the one it can open again', async () => {
    deployment()
    const one = await begun([oldKey])
    const tag = one.tag()
    const own = (await standing()) ?? ''
    await connection.redis.set(nameOf(), createTagKeySeals([newKey]).seal(newTagKey()), 'PX', YEAR_MS)
    await one.look()
    expect(one.tags).toThrow(StoreFault)
    await connection.redis.set(nameOf(), own, 'PX', YEAR_MS)
    await one.look()
    expect(one.tag()).toBe(tag)
  })

  it('leaves it to those who hold it to put it back, and makes one when nobody has', async () => {
    deployment()
    const [holder, stranger] = [await begun([oldKey]), await begun([foreignKey])]
    const tag = holder.tag()
    await connection.redis.del(nameOf())
    await stranger.look()
    expect(await standing()).toBeNull()
    await holder.look()
    await stranger.look()
    expect([holder.tag(), stranger.problem()]).toEqual([tag, 'tag_key_not_opened'])
    await connection.redis.del(nameOf())
    for (let looks = 0; looks < 3; looks++) await stranger.look()
    expect(stranger.problem()).toBeUndefined()
  })
})

describe('a Redis that was emptied', () => {
  it('is given it back by those who run, under the same names', async () => {
    deployment()
    const programs = [await begun([oldKey, newKey]), await begun([newKey, oldKey])]
    const tag = programs[0]?.tag()
    await connection.redis.del(nameOf())
    await Promise.all(programs.map(({ look }) => look()))
    for (const { look } of programs) await look()
    expect(programs.map((one) => one.tag())).toEqual([tag, tag])
    expect((await begun([oldKey, newKey])).tag()).toBe(tag)
  })

  it('and has another by the time they look leads them all to that one, with nothing remembered', async () => {
    deployment()
    const running = await begun([oldKey])
    const vault = createVault({ codeKeys: [newKey], tags: running.tags })
    const before = namesBy(vault)
    const challenge = challengeBy(running.tags)
    expect(challenge.isOursFor(running.tags)).toBe(true)
    await connection.redis.del(nameOf())
    const fresh = await begun([oldKey])
    await running.look()
    const after = namesBy(vault)
    for (const [index, name] of after.entries()) expect(name).not.toBe(before[index])
    expect(after).toEqual(namesBy(createVault({ codeKeys: [newKey], tags: fresh.tags })))
    expect(challenge.isOursFor(running.tags)).toBe(false)
    expect(challengeBy(running.tags).isOursFor(fresh.tags)).toBe(true)
  })

  it('and has another one makes that an error, once; one that is sealed anew, given back or opened again does not', async () => {
    deployment()
    const { lines, ready } = watched([oldKey, newKey])
    await ready()
    await begun([newKey, oldKey])
    await ready()
    await connection.redis.del(nameOf())
    await ready()
    const own = (await standing()) ?? ''
    expect(lines).toEqual([])
    await connection.redis.set(nameOf(), 'marker', 'PX', YEAR_MS)
    await ready()
    await connection.redis.set(nameOf(), own, 'PX', YEAR_MS)
    await ready()
    expect(lines.splice(0)).toEqual([
      expect.arrayContaining(['unreadable']),
      expect.arrayContaining(['info']),
    ])
    await connection.redis.set(nameOf(), createTagKeySeals([oldKey]).seal(newTagKey()), 'PX', YEAR_MS)
    await ready()
    await ready()
    const said = 'Redis has another tag key: what was counted before counts no more'
    expect(lines).toEqual([['error', undefined, said]])
  })
})
