/**
 * The challenge on the guide's form: whether a start there needs one, what the form brought along, and what the page
 * shows. Where a CAPTCHA is set up it is the only kind that counts here: else a robot would choose the cheaper one.
 */
import type { Context } from 'hono'
import * as v from 'valibot'
import type { WidgetField } from '#captcha/vendors.ts'
import type { PassedChallenge } from '#verification/challenge.ts'
import type { Destination } from '#verification/destination.ts'
import type { ChallengeRefusal } from '#verification/refusal.ts'
import { FORM_APPLICATION } from '#verification/verification.ts'
import type { FormChallengeMode } from './challenge-settings.ts'
import type { About, Challenger, GivenChallenge } from './challenger.ts'
import type { ApiEnv } from './context.ts'
import type { PageChallenge } from './page-challenge.ts'
import { CHALLENGE_SENTENCES } from './sentences.ts'

const field = v.optional(v.string(), '')

/** What a form may bring along besides its own fields. */
export const challengeFields = {
  challenge_token: field,
  challenge_solution: field,
  'cf-turnstile-response': field,
  'h-captcha-response': field,
} satisfies Record<WidgetField, typeof field> & Record<string, typeof field>

type Fields = Record<keyof typeof challengeFields, string>

/** `go`: ask the store, with what was passed, if anything. */
type Pass =
  | { kind: 'go'; carried: { challenge?: PassedChallenge } }
  | { kind: 'stop'; refusal: ChallengeRefusal }
  | { kind: 'unavailable' }

export function createFormChallenge(deps: { formChallenge: FormChallengeMode; challenger: Challenger }) {
  const { formChallenge: mode, challenger } = deps
  const { widget } = challenger

  const aboutOf = (c: Context<ApiEnv>, destination: Destination): About => ({
    application: FORM_APPLICATION,
    destination,
    ip: c.get('clientIp'),
  })

  /** A form sent without a script brings its fields empty: nothing was tried. */
  function givenIn(fields: Fields): GivenChallenge | undefined {
    if (widget) return fields[widget.field] === '' ? undefined : { captcha: fields[widget.field] }
    const { challenge_token: token, challenge_solution: solution } = fields
    return solution === '' ? undefined : { token, solution }
  }

  return {
    /** What stands on the page from the start: a CAPTCHA, which needs no number. */
    standing: (mode === 'always' && widget ? { kind: 'captcha', widget } : undefined) as
      | PageChallenge
      | undefined,

    async pass(c: Context<ApiEnv>, fields: Fields, destination: Destination): Promise<Pass> {
      if (mode === 'off') return { kind: 'go', carried: {} }
      const given = givenIn(fields)
      if (given === undefined)
        return mode === 'always'
          ? { kind: 'stop', refusal: 'challenge_required' }
          : { kind: 'go', carried: {} }
      const judged = await challenger.judge(given, aboutOf(c, destination), c.req.raw.signal)
      if (judged.kind === 'passed') return { kind: 'go', carried: { challenge: judged.challenge } }
      c.set('reason', judged.reason)
      return judged.kind === 'failed'
        ? { kind: 'stop', refusal: 'challenge_failed' }
        : { kind: 'unavailable' }
    },

    /** What the page shows a person who needs one for this number; nothing where challenges are off. */
    show(c: Context<ApiEnv>, destination: Destination, refusal: ChallengeRefusal): PageChallenge | undefined {
      if (mode === 'off') return undefined
      const sentence = CHALLENGE_SENTENCES[refusal][widget ? 'captcha' : 'proof']
      const error = sentence === '' ? {} : { error: sentence }
      if (widget) return { kind: 'captcha', widget, ...error }
      const challenge = challenger.issue(aboutOf(c, destination))
      return { kind: 'proof', challenge, atOnce: refusal === 'challenge_required', ...error }
    },
  }
}
