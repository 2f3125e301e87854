/**
 * What a start or a resend may be asked for before it is taken: gives out proofs of work, and judges what is passed on,
 * a solved one or a CAPTCHA's token. Whether one is wanted is decided elsewhere.
 */
import type { Captcha, CaptchaVerdict, Widget } from '#captcha/captcha.ts'
import type {
  Challenge,
  ChallengeScope,
  Challenges,
  ChallengeVerdict,
  PassedChallenge,
} from '#verification/challenge.ts'
import type { Destination } from '#verification/destination.ts'
import { networkOf } from '#verification/network.ts'
import type { Vault } from '#verification/vault.ts'
import type { Application } from '#verification/verification.ts'
import { createAsking } from './asking.ts'

/** Which start or resend it is about. `ip` is the person's address, '' where it is not known. */
export type About = { application: Application; ip: string } & (
  | { destination: Destination }
  | { destinationTag: string }
)

export type GivenChallenge = { token: string; solution: string } | { captcha: string }

/** `reason` is for the log. Nothing but `passed` lets a start through. */
export type Judged =
  | { kind: 'passed'; challenge: PassedChallenge }
  | { kind: 'failed' | 'unavailable'; reason: string }

/** A vendor takes a token once and for five minutes at most; we take it once as well. */
const CAPTCHA_TTL_MS = 300_000

export type Challenger = ReturnType<typeof createChallenger>

export function createChallenger(deps: {
  challenges: Challenges
  vault: Vault
  /** Zero bits a proof of work is asked to have. */
  bits: number
  captcha: Captcha | undefined
  now?: () => number
}) {
  const { challenges, vault, bits, captcha, now = Date.now } = deps
  const asking = createAsking(now)

  function scopeOf({ application, ip, ...to }: About): ChallengeScope {
    return {
      application,
      destinationTag: 'destination' in to ? vault.tagDestination(to.destination) : to.destinationTag,
      network: ip === '' ? '' : networkOf(ip).ip,
    }
  }

  async function judgeCaptcha(
    token: string,
    { application, ip }: About,
    signal: AbortSignal,
  ): Promise<Judged> {
    if (captcha === undefined) return { kind: 'failed', reason: 'captcha_unknown' }
    const address = ip === '' ? '' : `${application} ${networkOf(ip).ip}`
    const verdict = await asking.ask(address, () => captcha.verify(token, { ip, signal }))
    if (verdict === undefined) return { kind: 'unavailable', reason: 'captcha_busy' }
    if (verdict.kind !== 'passed') return withReason('captcha', verdict)
    const nonce = vault.fingerprint(['captcha', token])
    return { kind: 'passed', challenge: { nonce, expiresAtMs: now() + CAPTCHA_TTL_MS } }
  }

  return {
    /** The widget people meet instead of a proof of work, where a CAPTCHA is set up. */
    widget: captcha?.widget as Widget | undefined,

    issue: (about: About): Challenge => challenges.issue({ ...scopeOf(about), bits, nowMs: now() }),

    /** @param signal ends the wait for a vendor when the caller has gone */
    async judge(given: GivenChallenge, about: About, signal: AbortSignal): Promise<Judged> {
      if ('captcha' in given) return judgeCaptcha(given.captcha, about, signal)
      const verdict = challenges.verify(given.token, given.solution, { ...scopeOf(about), nowMs: now() })
      return verdict.kind === 'passed' ? verdict : withReason('challenge', verdict)
    },
  }
}

function withReason(
  what: string,
  { kind, reason }: Exclude<ChallengeVerdict | CaptchaVerdict, { kind: 'passed' }>,
): Judged {
  return { kind, reason: `${what}_${reason}` }
}
