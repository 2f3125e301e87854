/**
 * A proof of work: a token anybody may be given, for which nothing is stored until it is used. A start that carries it
 * solved has cost processor time, for this number, from this network, within the last two minutes. It makes many
 * starts dear; it tells no robot from a person, and is never the only gate.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { CHALLENGE } from './policy.ts'
import { mac } from './sealing.ts'
import type { Tags } from './tags.ts'
import type { Application } from './verification.ts'

/** What a challenge is good for, and nothing else. `network` as networkOf says it; '' where none is known. */
export type ChallengeScope = { application: Application; destinationTag: string; network: string }

/** To be solved: a decimal counter such that SHA-256(token + '.' + counter) begins with `bits` zero bits. */
export type Challenge = { token: string; bits: number; expiresAtMs: number }

/** Good for one start: the store remembers the nonce of a used one. */
export type PassedChallenge = { nonce: string; expiresAtMs: number }

/** `foreign`: not signed by us for this application, number and network. */
type Failure = 'malformed' | 'foreign' | 'expired' | 'unsolved'

export type ChallengeVerdict =
  | { kind: 'passed'; challenge: PassedChallenge }
  | { kind: 'failed'; reason: Failure }

const NONCE_BYTES = 12
/** Version, end in ms, bits, nonce, signature. The signature is over the text of the others, so none has two spellings. */
const tokenShape = /^v1\.([1-9][0-9]{12,14})\.([0-9]{2})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})$/
const solutionShape = /^(?:0|[1-9][0-9]{0,15})$/

export type Challenges = ReturnType<typeof createChallenges>

/** @param tags what numbers are counted under by now; throws while that is not known, and so does whatever needs it */
export function createChallenges(tags: () => Tags) {
  function sign(parts: readonly string[], { application, destinationTag, network }: ChallengeScope): string {
    const { challengeKey } = tags()
    return mac(challengeKey, ['v1', ...parts, application, destinationTag, network]).toString('base64url')
  }

  return {
    issue({ bits, nowMs, ...scope }: ChallengeScope & { bits: number; nowMs: number }): Challenge {
      const expiresAtMs = nowMs + CHALLENGE.ttlMs
      const parts = [String(expiresAtMs), String(bits), randomBytes(NONCE_BYTES).toString('base64url')]
      return { token: ['v1', ...parts, sign(parts, scope)].join('.'), bits, expiresAtMs }
    },

    verify(
      token: string,
      solution: string,
      { nowMs, ...scope }: ChallengeScope & { nowMs: number },
    ): ChallengeVerdict {
      const [, expires = '', bits = '', nonce = '', signature = ''] = tokenShape.exec(token) ?? []
      if (signature === '' || !solutionShape.test(solution)) return failed('malformed')
      if (!same(signature, sign([expires, bits, nonce], scope))) return failed('foreign')
      const expiresAtMs = Number(expires)
      if (nowMs >= expiresAtMs) return failed('expired')
      if (zeroBits(`${token}.${solution}`) < Number(bits)) return failed('unsolved')
      return { kind: 'passed', challenge: { nonce, expiresAtMs } }
    },
  }
}

function failed(reason: Failure): ChallengeVerdict {
  return { kind: 'failed', reason }
}

function same(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

/** Zero bits at the start of the hash, as far as its first 32 go. */
function zeroBits(text: string): number {
  return Math.clz32(createHash('sha256').update(text).digest().readUInt32BE(0))
}
