/**
 * Answers what people write to our numbers: what the websocket brings, once it is heeded, and what an API has heeded and
 * left to the workers. Each keyword is answered once, at the pace of the number it came to.
 */
import type { InboundListener, TextMessage } from '#providers/provider.ts'
import { type Asked, createKeywords, fieldsOf, pause } from '#receipts/keywords.ts'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Pace } from '#store/pace.ts'
import { StoreFault } from '#store/script.ts'
import type { Suppressions } from '#store/suppressions.ts'
import { type Destination, parseDestination, type Region } from '#verification/destination.ts'
import type { Outcome } from '#verification/outcome.ts'
import { REPLY_VALID_MS, replyText } from '#verification/reply.ts'
import { backoffMs } from '#verification/retry.ts'
import { segmentsOf } from '#verification/segments.ts'
import { REPLY_REFERENCE } from '#verification/verification.ts'

const PACE_AGAIN_AFTER_MS = 1_000
/** About half a minute. */
const ATTEMPTS_MAX = 6
/** Answers taken at once of those that were left to the workers, and how often somebody looks for them. */
const BATCH = 100
const REST_MS = 1_000

export type InboundMessages = {
  take: InboundListener
  /** Begins to look for answers that an API has left. */
  start(): void
  /** Takes those up that there are; `more` when there may be others. */
  answerLeft(): Promise<'more' | 'rest'>
  /** Resolves when nothing is being heeded or answered. */
  settled(): Promise<void>
  /** What Redis has not taken yet is offered once more and then given up. */
  stop(): void
}

export function createInbound(deps: {
  suppressions: Suppressions
  send: (message: TextMessage) => Promise<Outcome>
  pace: Pace
  regions: ReadonlySet<Region>
  brand: string
  contact: string
  log: Log
  random: () => number
}): InboundMessages {
  const { suppressions, regions, log } = deps
  const stopping = new AbortController()
  const keywords = createKeywords({ suppressions, log, answer })
  const answering = new Set<Promise<void>>()
  /** The last answer of each of our numbers that waits for its pace. */
  const turns = new Map<string, Promise<boolean>>()
  let looking: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  /** Who could get no code gets no answer either: an answer costs money, and anybody can write to us. */
  const mayBeSentTo = (destination: Destination) =>
    parseDestination(destination, { regions }).kind === 'destination'

  function answer(asked: Asked): void {
    if (!mayBeSentTo(asked.destination)) return
    const promise = sendAnswer(asked).finally(() => answering.delete(promise))
    answering.add(promise)
  }

  /** Whether an answer may leave its number now, after all that came before it. */
  async function mayLeave(sender: string, segments: number, giveUpAt: number): Promise<boolean> {
    for (;;) {
      const waitMs = await askPace(sender, segments)
      if (waitMs === 0) return true
      if (stopping.signal.aborted || performance.now() + waitMs > giveUpAt) return false
      await pause(waitMs, stopping.signal)
    }
  }

  async function askPace(sender: string, segments: number): Promise<number> {
    try {
      return await deps.pace.take(sender, segments)
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error
      return PACE_AGAIN_AFTER_MS
    }
  }

  /** One after the other for each number: a crowd that asks for help must not knock at Redis all at once. */
  function turnOf({ sender, cameAt }: Asked, body: string): Promise<boolean> {
    const { segments } = segmentsOf(body)
    const before = turns.get(sender) ?? Promise.resolve(true)
    const turn = before.then(() => mayLeave(sender, segments, cameAt + REPLY_VALID_MS))
    turns.set(sender, turn)
    return turn
  }

  /** Tried again only when it is known not to have left. */
  async function sendAnswer(asked: Asked): Promise<void> {
    const body = replyText(asked.keyword, deps)
    const addressed = { from: asked.sender, to: asked.destination, reference: REPLY_REFERENCE }
    const message = { ...addressed, channel: 'sms' as const, body, validForMs: REPLY_VALID_MS }
    for (let attempt = 1; ; attempt++) {
      if (!(await turnOf(asked, body)))
        return log.warn({ ...fieldsOf(asked), attempt, reason: 'not_sent_in_time' }, 'answer')
      const outcome = await deps.send(message)
      const fields = { ...fieldsOf(asked), attempt, outcome: outcome.kind }
      if (outcome.kind === 'accepted') return log.info(fields, 'answer')
      log.warn({ ...fields, reason: 'reason' in outcome ? outcome.reason : undefined }, 'answer')
      if (outcome.kind !== 'busy' || attempt >= (outcome.triesMax ?? ATTEMPTS_MAX) || stopping.signal.aborted)
        return
      await pause(Math.max(backoffMs(attempt, deps.random), outcome.retryAfterMs ?? 0), stopping.signal)
    }
  }

  async function answerLeft(): Promise<'more' | 'rest'> {
    const { taken, replies } = await suppressions.takeReplies(BATCH)
    const now = performance.now()
    for (const { agoMs, ...reply } of replies) answer({ ...reply, cameAt: now - agoMs })
    if (replies.length < taken)
      log.error({ reason: 'unreadable', count: taken - replies.length }, 'answers dropped')
    return taken === BATCH ? 'more' : 'rest'
  }

  async function look(): Promise<void> {
    let next: 'more' | 'rest' = 'rest'
    try {
      next = await answerLeft()
    } catch (error) {
      log.debug({ fault: faultName(error) }, 'answers put off')
    }
    if (!stopping.signal.aborted) schedule(next === 'more' ? 0 : REST_MS)
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => {
      looking = look()
    }, ms)
  }

  return {
    take: (message) => void keywords.take(message),
    start: () => schedule(0),
    answerLeft,
    async settled() {
      await Promise.all([keywords.settled(), looking])
      await Promise.all(answering)
    },
    stop() {
      stopping.abort()
      keywords.stop()
      clearTimeout(timer)
    },
  }
}
