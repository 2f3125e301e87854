/**
 * Weak storage: what Redis holds, without the keys, gives neither a code nor a number, though there are only a million
 * codes and ten thousand numbers to a prefix; and the keys, without Redis, give nothing either.
 */
import { createHash, createHmac, hash } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import {
  APPLICATION,
  freshDestination,
  storeOn,
  testTagKey,
  testVault,
  vaultOf,
} from '#test/fixtures/store.ts'
import type { Code } from '#verification/code.ts'
import { type Context, parseAmount, parseCurrency, parsePayee } from '#verification/context.ts'
import type { Destination } from '#verification/destination.ts'
import { derive } from '#verification/sealing.ts'
import { DEFAULT_PURPOSE, type VerificationId } from '#verification/verification.ts'

const connection = useRedis()
const MILLION = 1_000_000
/** As many bytes of a hash as no two things share by chance. */
const SURE_BYTES = 8

type Victim = { destination: Destination; id: VerificationId; code: Code }

let store: ReturnType<typeof storeOn>
let victim: Victim
let dump: string

/** All names and values of one prefix, whatever their type. */
async function dumpOf(prefix: string): Promise<string> {
  const { redis } = connection
  const held = await Promise.all(
    (await redis.keys(`{${prefix}}:*`)).map(async (key) => {
      switch (await redis.type(key)) {
        case 'hash':
          return [key, ...Object.entries(await redis.hgetall(key)).flat()]
        case 'list':
          return [key, ...(await redis.lrange(key, 0, -1))]
        case 'zset':
          return [key, ...(await redis.zrange(key, '0', '-1'))]
        default:
          return [key, (await redis.get(key)) ?? '']
      }
    }),
  )
  return held.flat().join('\n')
}

/** Everything in the dump that could be a hash, in hex or in base64, as its first bytes in hex. */
function hashesIn(text: string): Set<string> {
  const words = text.match(/[\w+/-]{11,}/g) ?? []
  const first = (bytes: Buffer) => bytes.subarray(0, SURE_BYTES).toString('hex')
  return new Set(
    words.flatMap((word) => [first(Buffer.from(word, 'base64url')), first(Buffer.from(word, 'hex'))]),
  )
}

beforeAll(async () => {
  store = storeOn(connection.redis)
  const [amount, currency, payee] = [parseAmount('10.00'), parseCurrency('EUR'), parsePayee('Shop')]
  const context = { amount, currency, payee } as Context
  const paid = await store.start(freshDestination(), { idempotencyKey: 'order-1', context })
  await store.check(paid.id, await store.codeFor(paid.id), 'without the payment')
  await store.start(freshDestination(), { silent: true, held: 'number_denied' })
  const destination = freshDestination()
  const { id } = await store.start(destination, { clientIp: '203.0.113.7' })
  victim = { destination, id, code: await store.codeFor(id) }
  dump = await dumpOf(store.prefix)
})

/** What somebody with the dump knows besides, and how careless programs join it to a code. */
function textsFor({ destination, id }: Victim, code: string): string[] {
  const tag = testVault.tagDestination(destination)
  const known = [id, destination, destination.slice(1), tag, APPLICATION]
  return [
    code,
    ...known.flatMap((part) =>
      ['', ':', '.', '|', '\0'].flatMap((by) => [`${part}${by}${code}`, `${code}${by}${part}`]),
    ),
    ['code', APPLICATION, id, tag, DEFAULT_PURPOSE, code].join('\0'),
    [APPLICATION, id, destination, DEFAULT_PURPOSE, code].join(':'),
  ]
}

/** What a careless program, or ours on a laptop, takes for a key; as it is and as ours would derive from it. */
function guessableKeys() {
  const development = (use: string) => createHash('sha256').update(`development only: ${use}`).digest()
  const { destination, id } = victim
  const words = [
    '',
    'secret',
    'changeme',
    'password',
    'key',
    'k1',
    store.prefix,
    APPLICATION,
    id,
    destination,
  ]
  const keys = [
    ...words.map((word) => Buffer.from(word)),
    Buffer.alloc(32),
    Buffer.alloc(32, 1),
    development('code'),
    development('destination'),
  ]
  return keys.flatMap((key) => [key, derive(key, 'code-mac'), derive(key, 'destination-tag')])
}

describe('a dump of Redis', () => {
  it('holds neither code nor number, but what of them the key of the service turns into', () => {
    expect(dump).not.toContain(victim.destination.slice(1))
    const owner = { ...victim, application: APPLICATION, purpose: DEFAULT_PURPOSE }
    const destinationTag = testVault.tagDestination(victim.destination)
    expect(dump).toContain(testVault.macCode(victim.code, { ...owner, destinationTag }))
    expect(dump).toContain(destinationTag)
    expect(hashesIn(dump).size).toBeGreaterThan(20)
  })

  it('opens to no table of all million codes', { timeout: 60_000 }, () => {
    const hashes = hashesIn(dump)
    const tag = testVault.tagDestination(victim.destination)
    const shapes = [
      (code: string) => code,
      (code: string) => `${victim.destination}${code}`,
      (code: string) => ['code', APPLICATION, victim.id, tag, DEFAULT_PURPOSE, code].join('\0'),
    ]
    let tried = 0
    for (let value = 0; value < MILLION; value++) {
      const code = String(value).padStart(6, '0')
      for (const shape of shapes) {
        if (hashes.has(hash('sha256', shape(code)).slice(0, 2 * SURE_BYTES)))
          throw new Error('a code was found')
        tried += 1
      }
    }
    expect(tried).toBe(3 * MILLION)
  })

  // With the right code in hand one try of a shape is worth its whole table: if the right code's hash is not there, no
  // search over all codes finds it.
  it.each(['md5', 'sha1', 'sha224', 'sha256', 'sha512', 'sha3-256'])(
    'holds no %s of the code in any shape',
    (algorithm) => {
      const hashes = hashesIn(dump)
      for (const text of textsFor(victim, victim.code)) {
        const digest = createHash(algorithm).update(text).digest()
        expect(hashes.has(digest.subarray(0, SURE_BYTES).toString('hex')), text).toBe(false)
        expect(
          hashes.has(createHash(algorithm).update(digest).digest().subarray(0, SURE_BYTES).toString('hex')),
        ).toBe(false)
      }
    },
  )

  it('holds no HMAC of code or number under a key that can be guessed', () => {
    const hashes = hashesIn(dump)
    const { destination } = victim
    const numbers = [destination, destination.slice(1), `destination\0${destination}`]
    for (const key of guessableKeys())
      for (const text of [...textsFor(victim, victim.code), ...numbers]) {
        const digest = createHmac('sha256', key).update(text).digest()
        expect(hashes.has(digest.subarray(0, SURE_BYTES).toString('hex')), JSON.stringify(text)).toBe(false)
      }
  })

  it('names no number to who tries all ten thousand of its prefix', () => {
    const hashes = hashesIn(dump)
    for (let last = 0; last < 10_000; last++) {
      const number = `${victim.destination.slice(0, -4)}${String(last).padStart(4, '0')}`
      for (const text of [number, number.slice(1), ['destination', number].join('\0')])
        if (hashes.has(hash('sha256', text).slice(0, 2 * SURE_BYTES))) throw new Error('a number was found')
    }
    expect(
      hashes.has(
        Buffer.from(testVault.tagDestination(victim.destination), 'base64url')
          .subarray(0, SURE_BYTES)
          .toString('hex'),
      ),
    ).toBe(true)
  })

  it('holds sealed copies that open under the right key alone, and each for its own verification', async () => {
    const { sealed = '' } = await store.hash(victim.id)
    const owner = { application: APPLICATION, id: victim.id }
    expect(store.vault.open(sealed, owner)).toMatchObject({ code: victim.code })
    const wrong = ['', 'k1', 'code key of the tests.', 'development'].map((text) =>
      createHash('sha256').update(text).digest(),
    )
    for (const secret of [...wrong, testTagKey, Buffer.alloc(32)]) {
      const other = vaultOf([{ id: 'k1', secret }])
      expect(() => other.open(sealed, owner)).toThrow()
    }
    const stranger = vaultOf([{ id: 'k9', secret: Buffer.alloc(32, 'code key of the tests') }])
    expect(stranger.open(sealed, owner)).toBeUndefined()
    const { id } = await store.start(freshDestination())
    expect(() => store.vault.open(sealed, { application: APPLICATION, id })).toThrow()
  })
})

describe('the keys without Redis', () => {
  it('say nothing of a code: the same number at the same moment gets another MAC, seal and id', async () => {
    const other = storeOn(connection.redis)
    const { id } = await other.start(victim.destination)
    const [mine, theirs] = [await store.hash(victim.id), await other.hash(id)]
    for (const field of ['code_mac', 'sealed']) expect(theirs[field]).not.toBe(mine[field])
    expect(id).not.toBe(victim.id)
  })
})

describe('the keys and a dump from after the end', () => {
  it('open nothing: all that was sealed went with the verification', async () => {
    const { id } = await store.start(freshDestination())
    await store.verifications.cancel(APPLICATION, id)
    const held = await store.hash(id)
    expect(held.status).toBe('canceled')
    expect(held).not.toHaveProperty('sealed')
    expect(held).not.toHaveProperty('context')
  })
})
