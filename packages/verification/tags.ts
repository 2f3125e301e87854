/**
 * The names numbers and addresses are counted under, which say nothing about them without the tag key. All that was made
 * or remembered under one tag key is in one value, so that nothing of it outlives the key.
 */
import { type Context, canonicalContext } from './context.ts'
import type { Destination } from './destination.ts'
import { remember } from './remember.ts'
import { derive, mac } from './sealing.ts'
import type { Application, Purpose } from './verification.ts'

/** 128 bits: no two numbers of the world's share a tag, and three keys a number stay short. */
const DESTINATION_TAG_BYTES = 16
const PART_TAG_BYTES = 9
const FINGERPRINT_BYTES = 16
const TAGS_REMEMBERED_MAX = 2_000

export type Tags = ReturnType<typeof createTags>

/** @param secret the tag key: another one forgets every budget and every STOP */
export function createTags(secret: Buffer) {
  const key = derive(secret, 'destination-tag')
  const partTag = (parts: readonly string[]) => short(mac(key, parts), PART_TAG_BYTES)
  const tagParts = remember(TAGS_REMEMBERED_MAX, (part) => partTag(['part', part]))

  return {
    /** Signs challenges: one names a number's tag, so it cannot outlive the tag key. */
    challengeKey: derive(secret, 'challenge'),
    /** The name a number is counted under. */
    tagDestination: remember(TAGS_REMEMBERED_MAX, (destination) =>
      short(mac(key, ['destination', destination]), DESTINATION_TAG_BYTES),
    ) satisfies (destination: Destination) => string,
    /**
     * The name a part of a number, or an address, is counted under: 72 bits, for things of which there are millions at
     * most and whose mix-up costs a count and nothing else.
     */
    tagPart: (kind: 'prefix' | 'ip' | 'network', text: string): string => tagParts(`${kind}\0${text}`),
    /** Names a caller's Idempotency-Key or request body under the key, so that a short one cannot be guessed back. */
    fingerprint: (parts: readonly string[]): string =>
      short(mac(key, ['fingerprint', ...parts]), FINGERPRINT_BYTES),
    /** Tells two payments of one number and purpose apart, and says nothing else about them. */
    tagContext(context: Context, { application, destinationTag, purpose }: ContextOwner): string {
      return partTag(['context', application, destinationTag, purpose, canonicalContext(context)])
    },
  }
}

type ContextOwner = { application: Application; destinationTag: string; purpose: Purpose }

const short = (whole: Buffer, bytes: number) => whole.subarray(0, bytes).toString('base64url')
