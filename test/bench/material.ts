/** What measurements are made of: numbers nobody else has, and verifications whose codes are known. */
import type { Redis } from 'ioredis'
import { createReader } from '#runtime/env.ts'
import { readSettings } from '#runtime/settings.ts'
import { createKeys } from '#store/keys.ts'
import { createTagKey } from '#store/tag-key.ts'
import { createVerifications } from '#store/verifications.ts'
import { type Destination, parseDestination } from '#verification/destination.ts'
import { DEFAULT_POLICY } from '#verification/policy.ts'
import { createVault } from '#verification/vault.ts'
import { type Application, DEFAULT_PURPOSE, type VerificationId } from '#verification/verification.ts'
import { UNHURRIED } from './programs.ts'

const APPLICATION = 'default' as Application
const AREAS = [202, 212, 213, 305, 312, 404, 415, 512, 602, 617, 702, 713, 718, 773, 818, 917]
const PER_AREA = 800 * 9_000
/** Prime to PER_AREA, so that each number comes once, and neighbours come far apart: no range stands out. */
const STRIDE = 1_000_003

let numbers = 0
let addresses = 0

/** A valid US number, another at each call; its last four digits are no scenario of the sandbox. */
export function nextNumber(): string {
  const index = numbers++
  const area = AREAS[Math.floor(index / PER_AREA) % AREAS.length]
  const within = (index * STRIDE) % PER_AREA
  return `+1${area}${200 + Math.floor(within / 9_000)}${1_000 + (within % 9_000)}`
}

/** An end user's address that comes again only after sixteen million others. */
export function nextAddress(): string {
  addresses += 1
  return `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`
}

export type KnownCode = { id: VerificationId; code: string }

/** Starts verifications straight in the store, with the keys the programs use when none are configured. */
export function createMaterial(redis: Redis, prefix: string) {
  const { codeKeys, destinationKeys } = readSettings(createReader({}))
  const keys = createKeys(prefix)
  const tagKey = createTagKey({ redis, keys, policy: DEFAULT_POLICY, destinationKeys })
  const vault = createVault({ codeKeys, tags: tagKey.tags })
  const verifications = createVerifications({
    redis,
    keys,
    policy: { ...DEFAULT_POLICY, rules: [] },
    vault,
    senders: [UNHURRIED],
    countSegments: () => 1,
  })

  async function startOne(): Promise<VerificationId> {
    const started = await verifications.start({
      application: APPLICATION,
      destination: destinationOf(nextNumber()),
      region: 'US',
      purpose: DEFAULT_PURPOSE,
      channel: 'sms',
      locale: 'en',
    })
    if (started.kind === 'refused') throw new Error(`refused: ${started.refusal}`)
    return started.id
  }

  return {
    async start(count: number): Promise<VerificationId[]> {
      await tagKey.look()
      const ids: VerificationId[] = []
      while (ids.length < count) {
        const batch = Array.from({ length: Math.min(500, count - ids.length) }, startOne)
        ids.push(...(await Promise.all(batch)))
      }
      return ids
    },
    async codesOf(ids: readonly VerificationId[]): Promise<KnownCode[]> {
      const codes: KnownCode[] = []
      for (let first = 0; first < ids.length; first += 1_000) {
        const some = ids.slice(first, first + 1_000)
        const sealed = await Promise.all(
          some.map((id) => redis.hget(keys.verification(APPLICATION, id), 'sealed')),
        )
        for (const [index, id] of some.entries()) {
          const letter = vault.open(sealed[index] ?? '', { application: APPLICATION, id })
          if (letter) codes.push({ id, code: letter.code })
        }
      }
      return codes
    },
  }
}

export function destinationOf(text: string): Destination {
  const parsed = parseDestination(text, { regions: new Set(['US']) })
  if (parsed.kind === 'refused') throw new Error(`${text} is refused`)
  return parsed.destination
}
