/**
 * Replays recorded traffic against a policy: the same scripts on a real Redis, under a prefix of its own, with the
 * traffic's time for a clock. Answers who would have been refused, and what was and would have been spent.
 */
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { createDeliveries } from '#store/deliveries.ts'
import { createKeys } from '#store/keys.ts'
import { createLibraries } from '#store/libraries.ts'
import { librariesInUse } from '#store/script.ts'
import { createVerifications, type Started } from '#store/verifications.ts'
import type { Code } from '#verification/code.ts'
import {
  type Destination,
  maskDestination,
  type ParsedDestination,
  parseDestination,
  type Region,
} from '#verification/destination.ts'
import { createListing, type Lists } from '#verification/lists.ts'
import { DEFAULT_LOCALE, type Locale } from '#verification/message.ts'
import type { Policy } from '#verification/policy.ts'
import { priceOf } from '#verification/price.ts'
import { type Refused, refused } from '#verification/refusal.ts'
import type { Sender } from '#verification/sender.ts'
import { createTags } from '#verification/tags.ts'
import { createVault } from '#verification/vault.ts'
import { type Application, DEFAULT_PURPOSE } from '#verification/verification.ts'
import type { Traffic } from './traffic.ts'

/** Money in millionths of the currency of PRICES. */
export type Verdict = {
  traffic: Traffic
  /** As far as it could be read. */
  destination: string
  /** `sent`, `sent again`, `approved`, a verdict of a check, or the code of a refusal. */
  result: string
  limit?: string
  explain: string
  /** What the message cost, or would have. */
  price: number
}

/** `end` removes from Redis all that the replay left there, its keys and its function libraries. */
export type Replay = { judge(traffic: Traffic): Promise<Verdict>; end(): Promise<void> }

const SWEEP_AT_ONCE = 200
/** What is asked is who would be refused, not how soon a message leaves. */
const UNHURRIED: Sender = { number: '+12025550199', kind: '10dlc', perSecond: 1_000_000 }
const CLOCK_TTL_S = 3_600

export type ReplayOptions = {
  redis: Redis
  policy: Policy
  regions: ReadonlySet<Region>
  lists: Lists
  countSegments: (locale: Locale) => number
}

export function createReplay({ redis, regions, lists, countSegments, ...options }: ReplayOptions): Replay {
  const keys = createKeys(`replay-${randomBytes(6).toString('hex')}`)
  const policy: Policy = { ...options.policy, clockKey: keys.clock(), events: [] }
  const tags = createTags(randomBytes(32))
  const vault = createVault({
    codeKeys: [{ id: 'r', secret: randomBytes(32) }],
    tags: () => tags,
  })
  const parts = { redis, keys, policy, vault, senders: [UNHURRIED] }
  // Its clock is a key of its own, so the libraries it adds are nobody else's.
  const others = new Set(librariesInUse())
  const verifications = createVerifications({ ...parts, countSegments })
  const deliveries = createDeliveries(parts)
  const own = librariesInUse().filter((library) => !others.has(library))
  const listed = createListing(lists)
  const applications = new Set<Application>()
  /** What stood in the last message to each number. */
  const codes = new Map<string, Code>()
  const segments = countSegments(DEFAULT_LOCALE)

  /** What has run out of time by then ends, as the sweeper would end it. */
  async function passTime(atMs: number): Promise<void> {
    await redis.set(keys.clock(), atMs, 'EX', CLOCK_TTL_S)
    for (const application of applications) {
      while ((await deliveries.sweep(application, SWEEP_AT_ONCE)).looked === SWEEP_AT_ONCE);
    }
  }

  async function start(
    traffic: Traffic,
    { destination, region }: ParsedDestination,
  ): Promise<Started | Refused> {
    const entry = listed(destination)
    if (entry.kind === 'denied') return refused('number_denied')
    const { application, clientIp } = traffic
    return verifications.start({
      application,
      destination,
      region,
      purpose: DEFAULT_PURPOSE,
      channel: 'sms',
      locale: DEFAULT_LOCALE,
      ...(clientIp === undefined ? {} : { clientIp }),
      ...(entry.kind === 'allowed' ? { trusted: true } : {}),
      ...(entry.kind === 'test' ? { testCode: entry.code, held: 'test_number' as const } : {}),
    })
  }

  /** The message leaves at once and the provider takes it. */
  async function deliver(
    application: Application,
    destination: Destination,
    { id, send }: Started,
  ): Promise<void> {
    const reference = { application, verification: id, send }
    const claim = await deliveries.claim(reference, id)
    if (claim.kind !== 'claimed') return
    codes.set(`${application} ${destination}`, claim.code)
    const outcome = { kind: 'accepted', messageId: id } as const
    await deliveries.record(reference, { token: id, outcome, waitMs: 0 })
  }

  async function approve(application: Application, { destination }: ParsedDestination): Promise<string> {
    const code = codes.get(`${application} ${destination}`)
    if (!code) return 'unknown_verification'
    const request = { application, destination, purpose: DEFAULT_PURPOSE, code }
    const checked = await verifications.checkDestination(request)
    return checked.kind === 'refused' ? checked.refusal : checked.verdict
  }

  return {
    async judge(traffic) {
      applications.add(traffic.application)
      await passTime(traffic.atMs)
      const parsed = parseDestination(traffic.to, { regions })
      const verdict = { traffic, destination: 'unreadable', explain: '', price: 0 }
      if (parsed.kind === 'refused') return { ...verdict, result: parsed.refusal }
      verdict.destination = maskDestination(parsed.destination)
      if (traffic.event === 'approve') {
        return { ...verdict, result: await approve(traffic.application, parsed) }
      }
      const price = priceOf(policy.prices, { region: parsed.region, segments, channel: 'sms' })
      const started = await start(traffic, parsed)
      if (started.kind === 'refused') {
        const { refusal: result, limit } = started
        return { ...verdict, result, price, ...(limit === undefined ? {} : { limit }) }
      }
      await deliver(traffic.application, parsed.destination, started)
      const result = started.kind === 'started' ? 'sent' : 'sent again'
      return { ...verdict, result, explain: started.explain, price }
    },

    async end() {
      for await (const found of redis.scanStream({ match: keys.every(), count: 1_000 })) {
        if (found.length > 0) await redis.del(...(found as string[]))
      }
      await createLibraries({ redis, keys }).drop(own)
    },
  }
}
