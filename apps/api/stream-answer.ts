/** The HTTP answer of a stream: 204 for a reader that has seen it all, so that an EventSource does not come back. */
import type { Context } from 'hono'
import type { Application, VerificationView } from '#verification/verification.ts'
import { type ApiEnv, headerOf } from './context.ts'
import { problem } from './problem.ts'
import { hasSeenAll, type Streams } from './streams.ts'

/** A place may be free again when somebody has read to the end. */
const FULL_RETRY_MS = 5_000

export function answerStream(
  c: Context<ApiEnv>,
  { streams, application, view }: { streams: Streams; application: Application; view: VerificationView },
): Response {
  const lastEventId = headerOf(c, 'last-event-id') ?? ''
  if (hasSeenAll(view, lastEventId)) return c.body(null, 204)
  // A HEAD has no body that anybody would read, or let go.
  if (c.req.method === 'HEAD') return stream(c, null)
  const stillMay = c.get('stillMay')
  const mayRead = () => stillMay('read')
  const body = streams.open({ application, id: view.id, mayRead }, view, lastEventId)
  return body ? stream(c, body) : problem(c, 'stream_limit', { retryAfterMs: FULL_RETRY_MS })
}

function stream(c: Context<ApiEnv>, body: ReadableStream | null): Response {
  const answer = new Response(body, {
    // nginx would keep it until there is enough of it.
    headers: { ...c.get('headers'), 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' },
  })
  c.set('answer', answer)
  return answer
}
