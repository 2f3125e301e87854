/**
 * What people write to our numbers: the keyword is read, the store heeds it, and it is answered once. The text goes no
 * further than this file's first lines. A STOP must not be lost: while Redis is away it is offered again, in the order
 * the messages came, for an hour.
 */
import { randomUUID } from 'node:crypto'
import type { Inbound, InboundListener, TextMessage } from '#providers/provider.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Pace } from '#store/pace.ts'
import { StoreFault } from '#store/script.ts'
import type { Heeded, Suppressions } from '#store/suppressions.ts'
import {
  type Destination,
  maskDestination,
  parseDestination,
  parseReturnAddress,
  type Region,
} from '#verification/destination.ts'
import { type Keyword, readKeyword } from '#verification/keyword.ts'
import type { Outcome } from '#verification/outcome.ts'
import { replyText } from '#verification/reply.ts'
import { backoffMs } from '#verification/retry.ts'
import { segmentsOf } from '#verification/segments.ts'
import { parseSender } from '#verification/sender.ts'
import { REPLY_REFERENCE } from '#verification/verification.ts'

const OFFERED_FOR_MS = 3_600_000
const OFFERED_AGAIN_AFTER_MS = 1_000
/** Messages waiting for Redis; beyond it the newest is dropped. */
const WAITING_MAX = 10_000
/** About half a minute: an answer that comes later than a few minutes is no answer (47 CFR 64.1200(a)(12)). */
const ATTEMPTS_MAX = 6
/** The same rule calls five minutes prompt. */
const VALID_FOR_MS = 300_000

/** A message with a keyword in it, without its text. `cameAt` is by performance.now(). */
type Asked = {
  keyword: Keyword
  destination: Destination
  sender: string
  cameAt: number
  token: string
}

export type InboundMessages = {
  take: InboundListener
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
  const waiting: Asked[] = []
  const answering = new Set<Promise<void>>()
  /** The last answer of each of our numbers that waits for its pace. */
  const turns = new Map<string, Promise<boolean>>()
  let heeding: Promise<void> | undefined

  /** Who could get no code gets no answer either: an answer costs money, and anybody can write to us. */
  const mayBeSentTo = (destination: Destination) =>
    parseDestination(destination, { regions }).kind === 'destination'

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        stopping.signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      stopping.signal.addEventListener('abort', end)
    })
  }

  async function offer(asked: Asked): Promise<Heeded> {
    for (;;) {
      const agoMs = performance.now() - asked.cameAt
      const last = stopping.signal.aborted || agoMs > OFFERED_FOR_MS
      try {
        return await suppressions.heed({ ...asked, agoMs })
      } catch (error) {
        if (last || !(error instanceof StoreFault)) throw error
      }
      await pause(OFFERED_AGAIN_AFTER_MS)
    }
  }

  async function heed(asked: Asked): Promise<void> {
    try {
      const { kind } = await offer(asked)
      log.info({ ...fieldsOf(asked), result: kind }, 'keyword heeded')
      if (kind === 'answer' && mayBeSentTo(asked.destination)) answer(asked)
    } catch (error) {
      log.error({ ...fieldsOf(asked), fault: faultName(error) }, 'keyword lost')
    }
  }

  /** One after the other, so that a START never overtakes the STOP before it. */
  async function heedAll(): Promise<void> {
    for (let asked = waiting.shift(); asked; asked = waiting.shift()) await heed(asked)
    heeding = undefined
  }

  function answer(asked: Asked): void {
    const promise = sendAnswer(asked).finally(() => answering.delete(promise))
    answering.add(promise)
  }

  /** Whether an answer may leave its number now, after all that came before it. */
  async function mayLeave(sender: string, segments: number, giveUpAt: number): Promise<boolean> {
    for (;;) {
      const waitMs = await askPace(sender, segments)
      if (waitMs === 0) return true
      if (stopping.signal.aborted || performance.now() + waitMs > giveUpAt) return false
      await pause(waitMs)
    }
  }

  async function askPace(sender: string, segments: number): Promise<number> {
    try {
      return await deps.pace.take(sender, segments)
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error
      return OFFERED_AGAIN_AFTER_MS
    }
  }

  /** One after the other for each number: a crowd that asks for help must not knock at Redis all at once. */
  function turnOf({ sender, cameAt }: Asked, body: string): Promise<boolean> {
    const { segments } = segmentsOf(body)
    const before = turns.get(sender) ?? Promise.resolve(true)
    const turn = before.then(() => mayLeave(sender, segments, cameAt + VALID_FOR_MS))
    turns.set(sender, turn)
    return turn
  }

  /** Tried again only when it is known not to have left. */
  async function sendAnswer(asked: Asked): Promise<void> {
    const body = replyText(asked.keyword, deps)
    const addressed = { from: asked.sender, to: asked.destination, reference: REPLY_REFERENCE }
    const message = { ...addressed, channel: 'sms' as const, body, validForMs: VALID_FOR_MS }
    for (let attempt = 1; ; attempt++) {
      if (!(await turnOf(asked, body)))
        return log.warn({ ...fieldsOf(asked), attempt, reason: 'not_sent_in_time' }, 'answer')
      const outcome = await deps.send(message)
      const fields = { ...fieldsOf(asked), attempt, outcome: outcome.kind }
      if (outcome.kind === 'accepted') return log.info(fields, 'answer')
      log.warn({ ...fields, reason: 'reason' in outcome ? outcome.reason : undefined }, 'answer')
      if (outcome.kind !== 'busy' || attempt >= (outcome.triesMax ?? ATTEMPTS_MAX) || stopping.signal.aborted)
        return
      await pause(Math.max(backoffMs(attempt, deps.random), outcome.retryAfterMs ?? 0))
    }
  }

  function take(message: Inbound): void {
    const keyword = readKeyword(message.text)
    const destination = parseReturnAddress(message.from)
    const sender = parseSender(message.to)?.number
    log.info({ keyword, destination: destination && maskDestination(destination) }, 'message came in')
    if (keyword === 'none' || !destination || !sender) return
    const asked = { keyword, destination, sender, cameAt: performance.now(), token: randomUUID() }
    if (waiting.length >= WAITING_MAX) {
      log.error({ ...fieldsOf(asked), reason: 'too_many' }, 'keyword lost')
      return
    }
    waiting.push(asked)
    heeding ??= heedAll()
  }

  return {
    take,
    async settled() {
      await heeding
      await Promise.all(answering)
    },
    stop: () => stopping.abort(),
  }
}

function fieldsOf({ keyword, destination }: Asked): LogFields {
  return { keyword, destination: maskDestination(destination) }
}
