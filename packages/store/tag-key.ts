/**
 * What numbers are counted under, the same in every program of a deployment: a tag key that is kept in Redis, sealed, and
 * held here once it is opened. What stands in Redis wins; where nothing does, whoever holds the key puts it back, and
 * whoever comes first makes one. Until it is held, and while it cannot be opened, whatever needs it fails as if Redis
 * were away: a program that counted apart would give everybody new tries.
 */
import type { Redis } from 'ioredis'
import type { Policy } from '#verification/policy.ts'
import type { MasterKey } from '#verification/sealing.ts'
import { createTagKeySeals, newTagKey } from '#verification/tag-key.ts'
import { createTags, type Tags } from '#verification/tags.ts'
import type { Keys } from './keys.ts'
import { askAll, loadScript, StoreFault, textAt } from './script.ts'

/** `not_read`: Redis was not asked yet, or did not answer. `not_opened`: it is sealed with another key than those here. */
export type TagKeyProblem = 'tag_key_not_read' | 'tag_key_not_opened'

type Held = { sealed: string; newest: boolean; secret: Buffer; tags: Tags }
type Log = Record<'info' | 'error', (fields: { reason?: string }, message: string) => void>

class NoTagKey extends Error {
  override name = 'NoTagKey'
}

/** Renewed when half of it is over, so only a deployment that has not run for five years loses it. */
const LIFE_MS = 10 * 365 * 24 * 3_600_000
const LOOK_EVERY_MS = 2_000
/** Looks that a program which could not open what stood there leaves to those who could, to put it back. */
const LOOKS_LEFT_TO_OTHERS = 2

export function createTagKey(deps: {
  redis: Redis
  keys: Keys
  policy: Policy
  destinationKeys: readonly MasterKey[]
}) {
  const { redis } = deps
  const key = deps.keys.tagKey()
  const seals = createTagKeySeals(deps.destinationKeys)
  const script = loadScript('adopt.lua', deps.policy)
  let held: Held | undefined
  let locked: string | undefined
  let looking: Promise<void> | undefined
  let looksLeft = 0

  /** Apart from the reading: a Redis that refuses writes must not keep anybody from what stands there. */
  function renew(): void {
    redis.pexpire(key, LIFE_MS).catch(() => {})
  }

  /** Puts the secret where `seen` stands, sealed under the first key; answers what stands there then. */
  async function adopt(seen: string, secret: Buffer): Promise<string> {
    return textAt(await script(redis, [key], [seen, seals.seal(secret), LIFE_MS]), 0)
  }

  /** What was remembered under the same secret stays good. */
  function take(sealed: string): void {
    if (held?.sealed === sealed) return
    const opened = seals.open(sealed)
    if (opened.kind === 'locked') {
      held = undefined
      locked = opened.why
      looksLeft = LOOKS_LEFT_TO_OTHERS
      return
    }
    const { secret, newest } = opened
    locked = undefined
    const tags = held?.secret.equals(secret) ? held.tags : createTags(secret)
    held = { sealed, newest, secret, tags }
  }

  async function lookOnce(): Promise<void> {
    const [text, life] = await askAll(redis.pipeline().get(key).pttl(key))
    const standing = typeof text === 'string' ? text : ''
    if (standing === '' && locked !== undefined && looksLeft-- > 0) return
    take(standing === '' ? await adopt('', held?.secret ?? newTagKey()) : standing)
    if (held && !held.newest) take(await adopt(held.sealed, held.secret))
    else if (standing !== '' && Number(life) < LIFE_MS / 2) renew()
  }

  const tagKey = {
    /** Throws StoreFault while the tag key is not held. */
    tags(): Tags {
      if (!held) throw new StoreFault('No tag key', { cause: new NoTagKey() })
      return held.tags
    },

    /** Why nothing can be counted, for /readyz. */
    problem(): TagKeyProblem | undefined {
      if (held) return undefined
      return locked === undefined ? 'tag_key_not_read' : 'tag_key_not_opened'
    },

    /** Reads what stands in Redis, and puts there what belongs there. Two at the same time are one. */
    look(): Promise<void> {
      looking ??= lookOnce().finally(() => {
        looking = undefined
      })
      return looking
    },

    /** Looks now and then, at each new connection first, until what it answers is called. */
    keep(log: Log): () => void {
      const tell = tellOfChanges(log)
      async function lookQuietly(): Promise<void> {
        // Redis away: the connection says so, and what is held goes on being held.
        await tagKey.look().catch(() => undefined)
        tell(held?.secret, locked)
      }
      redis.on('ready', lookQuietly)
      const timer = setInterval(lookQuietly, LOOK_EVERY_MS)
      return () => clearInterval(timer)
    },
  }
  return tagKey
}

/** One line when it begins and one when it ends, however often it is looked at. */
function tellOfChanges(log: Log) {
  let lockedBefore: string | undefined
  let secretBefore: Buffer | undefined
  return (secret: Buffer | undefined, locked: string | undefined): void => {
    if (locked !== undefined && locked !== lockedBefore)
      log.error({ reason: locked }, 'DESTINATION_KEYS do not open the tag key in Redis')
    if (locked === undefined && lockedBefore !== undefined)
      log.info({}, 'DESTINATION_KEYS open the tag key in Redis again')
    if (secret && secretBefore && !secret.equals(secretBefore))
      log.error({}, 'Redis has another tag key: what was counted before counts no more')
    lockedBefore = locked
    secretBefore = secret ?? secretBefore
  }
}
