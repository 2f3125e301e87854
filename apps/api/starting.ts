/**
 * What both doors, `/v1` and the form, do alike to start a verification, and `/v1` to send again: the lists, the queue,
 * the gate's words in the log.
 */
import type { Context } from 'hono'
import type { ResendRequest, Started, StartRequest, Verifications } from '#store/verifications.ts'
import { alarmsIn } from '#verification/gate.ts'
import { createListing, type Lists } from '#verification/lists.ts'
import type { ObjectionTo } from '#verification/objection.ts'
import { type Refused, refused } from '#verification/refusal.ts'
import type { Application, SendReference, VerificationId } from '#verification/verification.ts'
import type { ApiEnv } from './context.ts'

export type Start = (request: StartRequest) => Promise<Started | Refused>
export type Resend = (
  application: Application,
  id: VerificationId,
  request: ResendRequest,
) => Promise<Started | Refused>

/** What a rule of the gate has to say to whoever runs the service: `application_day=alarm`. */
export type Alarm = (rule: string) => void

type Parts = {
  verifications: Verifications
  /** Hands a stored send to the queue; what it cannot hand over the sweeper brings. */
  enqueue: (send: SendReference) => void
  alarm: Alarm
}

export function createStart(deps: Parts & { lists: Lists }): Start {
  const listed = createListing(deps.lists)

  async function ask(request: StartRequest): Promise<Started | Refused> {
    const entry = listed(request.destination)
    switch (entry.kind) {
      case 'none':
        return deps.verifications.start(request)
      case 'allowed':
        return deps.verifications.start({ ...request, trusted: true })
      case 'test':
        return deps.verifications.start({ ...request, testCode: entry.code, held: 'test_number' })
      case 'denied':
        return request.silent
          ? deps.verifications.start({ ...request, held: 'number_denied' })
          : refused('number_denied')
      default:
        return entry satisfies never
    }
  }

  return async (request) => {
    const started = await ask(request)
    if (started.kind !== 'refused') handOver(request.application, started, deps)
    return started
  }
}

/**
 * A start was asked about the lists and regions of its time, so a resend is asked again. The worker asks as well, last;
 * here the caller hears it, and nothing is counted. A test number is sent to by neither.
 */
export function createResend(deps: Parts & { objectionTo: ObjectionTo }): Resend {
  return async (application, id, request) => {
    const to = await deps.verifications.findDestination(application, id)
    const objection = to && deps.objectionTo(to.destination, to.channel)
    if (objection && objection !== 'test_number') return refused(objection)
    const sentAgain = await deps.verifications.resend(application, id, request)
    if (sentAgain.kind !== 'refused') handOver(application, sentAgain, deps)
    return sentAgain
  }
}

function handOver(application: Application, { id, send, explain }: Started, { enqueue, alarm }: Parts): void {
  enqueue({ application, verification: id, send })
  tellAlarms(explain, alarm)
}

/** The rules that spoke up stand in the request's log line. */
export function noteExplain(c: Context<ApiEnv>, { explain }: Pick<Started, 'explain'>): void {
  if (explain !== '') c.set('explain', explain)
}

export function tellAlarms(explain: string, alarm: Alarm): void {
  for (const rule of alarmsIn(explain)) alarm(rule)
}
