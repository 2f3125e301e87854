/** What both doors, `/v1` and the form, do alike to start a verification: the lists, the gate's words in the log. */
import type { Context } from 'hono'
import type { Started, StartRequest, Verifications } from '#store/verifications.ts'
import { createListing, type Lists } from '#verification/lists.ts'
import { type Refused, refused } from '#verification/refusal.ts'
import type { SendReference } from '#verification/verification.ts'
import type { ApiEnv } from './context.ts'

export type Start = (request: StartRequest) => Promise<Started | Refused>

/** What a rule of the gate has to say to whoever runs the service: `application_day=alarm`. */
export type Alarm = (rule: string) => void

export function createStart(deps: {
  verifications: Verifications
  enqueue: (send: SendReference) => void
  lists: Lists
  alarm: Alarm
}): Start {
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
    if (started.kind === 'refused') return started
    deps.enqueue({ application: request.application, verification: started.id, send: started.send })
    tellAlarms(started.explain, deps.alarm)
    return started
  }
}

/** The rules that spoke up stand in the request's log line. */
export function noteExplain(c: Context<ApiEnv>, { explain }: Pick<Started, 'explain'>): void {
  if (explain !== '') c.set('explain', explain)
}

export function tellAlarms(explain: string, alarm: Alarm): void {
  if (!explain.includes('=alarm')) return
  for (const [, rule = ''] of explain.matchAll(/(\w+)=alarm/g)) alarm(rule)
}
