/**
 * Every key of the service, its shape, its type, its life and who writes it. All keys of one application carry the
 * same hash tag, so that each script touches one slot of a Redis Cluster.
 *
 * | key | type | life | written by |
 * |---|---|---|---|
 * | `P:{A}:v:ID` | hash: the verification and its sends | end of the code + retention | start, resend, check, cancel, claim, record, receipt, sweep |
 * | `P:{A}:p:TAG:PURPOSE` | string: id of the newest verification | as the verification | start |
 * | `P:{A}:s:TAG` | list: times of sends to a number, newest first | longest send window | start, resend |
 * | `P:{A}:w:TAG` | list: times of wrong checks, newest first | longest wrong-check window | check |
 * | `P:{A}:i:NAME` | string: fingerprint and first answer of an Idempotency-Key | idempotency time | start, check |
 * | `P:{A}:c:NONCE` | string: a challenge that was used | what was left of its life + clock skew | start |
 * | `P:{A}:agenda` | sorted set: verification ids by when the sweeper must look | code + retention, renewed | every script |
 * | `P:applications` | sorted set: applications by when last seen | a day, renewed | the API |
 * | `P:m:MESSAGE` | string: which send a provider's message id belongs to | an hour | the worker |
 *
 * P is the prefix, A the application, TAG the keyed tag of a number (never the number).
 */
import type { Application, Purpose, VerificationId } from '#verification/verification.ts'

export type Keys = ReturnType<typeof createKeys>

export function createKeys(prefix: string) {
  const of = (application: Application) => `${prefix}:{${application}}:`
  return {
    /** Start of every verification key of an application; scripts that find an id put it behind this. */
    verifications: (application: Application) => `${of(application)}v:`,
    verification: (application: Application, id: VerificationId) => `${of(application)}v:${id}`,
    pointer: (application: Application, tag: string, purpose: Purpose) =>
      `${of(application)}p:${tag}:${purpose}`,
    sends: (application: Application, tag: string) => `${of(application)}s:${tag}`,
    wrongChecks: (application: Application, tag: string) => `${of(application)}w:${tag}`,
    idempotency: (application: Application, name: string) => `${of(application)}i:${name}`,
    challenge: (application: Application, nonce: string) => `${of(application)}c:${nonce}`,
    agenda: (application: Application) => `${of(application)}agenda`,
    applications: () => `${prefix}:applications`,
    message: (messageId: string) => `${prefix}:m:${messageId}`,
  }
}
