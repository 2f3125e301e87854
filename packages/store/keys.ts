/**
 * Every key of the service, its shape, its type, its life and who writes it. All keys carry one hash tag: the limits of
 * all applications together are decided in the same step as an application's own, so every script touches one slot
 * (docs/decisions/0009).
 *
 * | key | type | life | written by |
 * |---|---|---|---|
 * | `{P}:A:v:ID` | hash: the verification and its sends | end of the code + retention | start, resend, check, cancel, claim, record, receipt, sweep |
 * | `{P}:A:p:TAG:PURPOSE` | string: id of the newest verification | as the verification | start |
 * | `{P}:A:t:TAG` | string: times of sends to a number and of which verification, newest first | longest send window | start, resend |
 * | `{P}:A:g:TAG` | string: times of wrong checks, newest first | longest wrong-check window | check |
 * | `{P}:A:r:TAG` | string: how many wrong checks in a row | a year, renewed by each | check |
 * | `{P}:A:y:TAG` | string: how many wrong checks of payments in a row | a day, renewed by each; the block, from the fifth | check |
 * | `{P}:A:i:NAME` | string: fingerprint and first answer of an Idempotency-Key | idempotency time | start, check |
 * | `{P}:A:c:NONCE` | string: a challenge that was used | what was left of its life + clock skew | start, resend |
 * | `{P}:A:agenda` | sorted set: verification ids by when the sweeper must look | code + retention, renewed | every script |
 * | `{P}:@SCOPE:NAME` | hash: meters of an address (of an application), a prefix, a region, … (gate.ts); `form:NAME` where the public form has its own | longest window and a sixth | start, resend, check, reply, what ends a verification |
 * | `{P}:@stopped` | string: why sending is stopped | a year | `npm run sending` |
 * | `{P}:@clock` | string: the time, in a replay of recorded traffic only | an hour | `npm run policy` |
 * | `{P}:@outbox` | stream: events not yet moved to their queue | a day, renewed | what changes a verification or a send |
 * | `{P}:@outbox-lease` | string: who moves them | 5 s, renewed | the worker |
 * | `{P}:@told:RULE:STATE:NAME` | string: a shared limit that was told of | ten minutes | start, resend, check, reply |
 * | `{P}:@gone:RECEIVER` | string: a receiver of webhooks that wants no more | a year | the worker |
 * | `{P}:@libraries` | sorted set: function libraries by when last used | four weeks, renewed | the worker |
 * | `{P}:@applications` | sorted set: applications by when last seen | a day, renewed | the API |
 * | `{P}:@api-keys` | hash: id of an API key -> holder, scopes, times, SHA-256 of the key | ten years, renewed | `npm run keys` |
 * | `{P}:@tag-key` | string: the key that TAG is made with, sealed under one of DESTINATION_KEYS | ten years, renewed | adopt |
 * | `{P}:@m:MESSAGE` | string: which send a provider's message id belongs to | an hour | record |
 * | `{P}:@s:TAG` | hash: our number -> ms when this number told it to stop; kept when a number is erased | five years | heed |
 * | `{P}:@w:TAG:SENDER:KEYWORD` | string: which message of a number was answered by us | a day | heed |
 * | `{P}:@unanswered` | list: keywords whose answer an API leaves to the workers, oldest first; numbers are sealed | five minutes, renewed | heed |
 * | `{P}:@l:SENDER` | sorted set: what waits to leave from one of our numbers, by its last moment | life of a code, renewed | start, resend, claim, record; removed from by what ends a send |
 * | `{P}:@p:SENDER` | string: until when what has left keeps the number busy | life of a code, renewed | claim, reply |
 * | `{P}:@t:TOKEN` | string: which send a claim was given instead of the one it asked for | lease of an attempt | claim |
 *
 * P is the prefix, A the application (never with an @), TAG the keyed tag of a number (never the number).
 */
import type { Scope } from '#verification/gate.ts'
import type { Keyword } from '#verification/keyword.ts'
import {
  type Application,
  type Purpose,
  parseApplication,
  parseVerificationId,
  type VerificationId,
} from '#verification/verification.ts'

export type Keys = ReturnType<typeof createKeys>

const SCOPE_LETTERS = {
  ip: 'i',
  network: 'n',
  prefix: 'x',
  // In the hash of its prefix.
  range: 'x',
  region: 'r',
  form: 'f',
  application: 'a',
  overall: 'o',
} as const satisfies Record<Scope, string>

export function createKeys(prefix: string) {
  const all = `{${prefix}}:@`
  const of = (application: Application) => `{${prefix}}:${application}:`
  return {
    /** Start of every verification key of an application; scripts that find an id put it behind this. */
    verifications: (application: Application) => `${of(application)}v:`,
    verification: (application: Application, id: VerificationId) => `${of(application)}v:${id}`,
    pointer: (application: Application, tag: string, purpose: Purpose) =>
      `${of(application)}p:${tag}:${purpose}`,
    /** Start of every pointer of a number. */
    pointers: (application: Application, tag: string) => `${of(application)}p:${tag}:`,
    sends: (application: Application, tag: string) => `${of(application)}t:${tag}`,
    wrongChecks: (application: Application, tag: string) => `${of(application)}g:${tag}`,
    wrongInARow: (application: Application, tag: string) => `${of(application)}r:${tag}`,
    wrongPayments: (application: Application, tag: string) => `${of(application)}y:${tag}`,
    idempotency: (application: Application, name: string) => `${of(application)}i:${name}`,
    challenge: (application: Application, nonce: string) => `${of(application)}c:${nonce}`,
    agenda: (application: Application) => `${of(application)}agenda`,
    /** Where a scope's meters are; without a name there is nothing to count, and no key of that name is touched. */
    scope: (scope: Scope, name: string | undefined) =>
      name === undefined ? `${all}-` : `${all}${SCOPE_LETTERS[scope]}:${name}`,
    stopped: () => `${all}stopped`,
    clock: () => `${all}clock`,
    /** Every key there is under this prefix. */
    every: () => `{${prefix}}:*`,
    apiKeys: () => `${all}api-keys`,
    tagKey: () => `${all}tag-key`,
    outbox: () => `${all}outbox`,
    outboxLease: () => `${all}outbox-lease`,
    /** Scripts put the limit, its state and whose it is behind this. */
    told: () => `${all}told`,
    gone: (receiver: string) => `${all}gone:${receiver}`,
    libraries: () => `${all}libraries`,
    applications: () => `${all}applications`,
    message: (messageId: string) => `${all}m:${messageId}`,
    /** Start of every suppression key; a script that knows a number's tag puts it behind this. */
    suppressions: () => `${all}s:`,
    suppression: (tag: string) => `${all}s:${tag}`,
    /** @param sender one of our numbers, or `calls` */
    line: (sender: string) => `${all}l:${sender}`,
    pace: (sender: string) => `${all}p:${sender}`,
    turn: (token: string) => `${all}t:${token}`,
    /** Whose verification a key is. */
    ownerOf(key: string): { application: Application; verification: VerificationId } {
      const [, name = '', id = ''] = /:([^:]+):v:([^:]+)$/.exec(key) ?? []
      const [application, verification] = [parseApplication(name), parseVerificationId(id)]
      if (!application || !verification) throw new Error('A script named no verification')
      return { application, verification }
    },
    unanswered: () => `${all}unanswered`,
    answer: (tag: string, sender: string, keyword: Keyword) => `${all}w:${tag}:${sender}:${keyword}`,
  }
}
