/**
 * Answers what people write to our numbers: what the websocket brings, once it is heeded, and what an API has heeded and
 * left to the workers. Each keyword is answered once, when the store lets it leave.
 */
import type { InboundListener, TextMessage } from '#providers/provider.ts'
import { type Asked, createKeywords, fieldsOf } from '#receipts/keywords.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { pause } from '#runtime/shutdown.ts'
import type { Replies, Reply, ReplyTurn } from '#store/replies.ts'
import { StoreFault } from '#store/script.ts'
import type { Suppressions } from '#store/suppressions.ts'
import { type Destination, type Region, regionOf } from '#verification/destination.ts'
import { alarmsIn } from '#verification/gate.ts'
import type { ObjectionTo } from '#verification/objection.ts'
import type { Outcome } from '#verification/outcome.ts'
import { REPLY_VALID_MS, replyText } from '#verification/reply.ts'
import { backoffMs } from '#verification/retry.ts'
import { segmentsOf } from '#verification/segments.ts'
import { REPLY_REFERENCE } from '#verification/verification.ts'
import { createFaultLog } from './fault-log.ts'
import { createLoop } from './loop.ts'

const TURN_AGAIN_AFTER_MS = 1_000
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
  replies: Replies
  objectionTo: ObjectionTo
  brand: string
  contact: string
  log: Log
  random: () => number
}): InboundMessages {
  const { suppressions, log } = deps
  const stopping = new AbortController()
  const keywords = createKeywords({ suppressions, log, answer })
  const answering = new Set<Promise<void>>()
  /** The last answer of each of our numbers that waits for its turn. */
  const turns = new Map<string, Promise<unknown>>()
  const stumbled = createFaultLog(log)
  const left = createLoop({
    step: answerLeft,
    restMs: REST_MS,
    onFault: (error) => stumbled(error, {}, 'answers put off'),
  })

  /** Who could get no code gets no answer either: an answer costs money, and anybody can write to us. */
  function answeredRegion(destination: Destination): Region | undefined {
    return deps.objectionTo(destination, 'sms') === undefined ? regionOf(destination) : undefined
  }

  function answer(asked: Asked): void {
    const region = answeredRegion(asked.destination)
    if (!region) return
    const promise = sendAnswer(asked, region).finally(() => answering.delete(promise))
    answering.add(promise)
  }

  /** Waits until an answer may leave its number, after all that came before it. Answers why it may not, if so. */
  async function turnAt(reply: Reply, giveUpAt: number): Promise<LogFields | undefined> {
    for (;;) {
      const turn = await askTurn(reply)
      if (turn.kind === 'refused') return { refusal: turn.refusal, limit: turn.limit }
      if (turn.kind === 'go') {
        for (const limit of alarmsIn(turn.explain)) log.warn({ limit }, 'a limit is nearly reached')
        return undefined
      }
      const { waitMs, why: reason } = turn
      if (stopping.signal.aborted || performance.now() + waitMs > giveUpAt) return { reason }
      await pause(waitMs, stopping.signal)
    }
  }

  async function askTurn(reply: Reply): Promise<ReplyTurn> {
    try {
      return await deps.replies.take(reply)
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error
      return { kind: 'wait', waitMs: TURN_AGAIN_AFTER_MS, why: 'not_sent_in_time' }
    }
  }

  /** One after the other for each number: a crowd that asks for help must not knock at Redis all at once. */
  function turnOf(reply: Reply, giveUpAt: number): Promise<LogFields | undefined> {
    const before = turns.get(reply.from) ?? Promise.resolve()
    const turn = before.then(() => turnAt(reply, giveUpAt))
    turns.set(reply.from, turn)
    return turn
  }

  /** Tried again only when it is known not to have left. */
  async function sendAnswer(asked: Asked, region: Region): Promise<void> {
    const body = replyText(asked.keyword, deps)
    const { sender: from, destination: to } = asked
    const message = {
      from,
      to,
      reference: REPLY_REFERENCE,
      channel: 'sms' as const,
      body,
      validForMs: REPLY_VALID_MS,
    }
    const { segments } = segmentsOf(body)
    for (let attempt = 1; ; attempt++) {
      const reply = { from, region, segments, again: attempt > 1 }
      const no = await turnOf(reply, asked.cameAt + REPLY_VALID_MS)
      if (no) return log.warn({ ...fieldsOf(asked), attempt, ...no }, 'answer')
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
    const { taken, replies } = await suppressions.takeUnanswered(BATCH)
    const now = performance.now()
    for (const { agoMs, ...reply } of replies) answer({ ...reply, cameAt: now - agoMs })
    if (replies.length < taken)
      log.error({ reason: 'unreadable', count: taken - replies.length }, 'answers dropped')
    return taken === BATCH ? 'more' : 'rest'
  }

  return {
    take: (message) => void keywords.take(message),
    start: left.start,
    answerLeft,
    async settled() {
      await Promise.all([keywords.settled(), left.settled()])
      await Promise.all(answering)
    },
    stop() {
      stopping.abort()
      keywords.stop()
      void left.stop()
    },
  }
}
