/**
 * What people write to our numbers, however it came: the keyword is read and the store heeds it. The text goes no
 * further than this file's first lines. A STOP must not be lost: while Redis is away it is offered again, in the order
 * the messages came, for an hour.
 */
import type { Log, LogFields } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import { pause } from '#runtime/shutdown.ts'
import { StoreFault } from '#store/script.ts'
import type { Heeded, Suppressions } from '#store/suppressions.ts'
import { type Destination, maskDestination, parseReturnAddress } from '#verification/destination.ts'
import { type Inbound, type Keyword, readKeyword } from '#verification/keyword.ts'
import { parseSender } from '#verification/sender.ts'

const OFFERED_FOR_MS = 3_600_000
const OFFERED_AGAIN_AFTER_MS = 1_000
/** Messages waiting for Redis; beyond it the newest is dropped. */
const WAITING_MAX = 10_000

/** A message with a keyword in it, without its text. `cameAt` is by performance.now(). */
export type Asked = { keyword: Keyword; destination: Destination; sender: string; cameAt: number }
type Waiting = Asked & { token: string; done: (kept: boolean) => void }

export type Keywords = {
  /** Resolves when the message has been heeded, or asks for nothing; `false` when it is lost. */
  take(message: Inbound): Promise<boolean>
  /** Resolves when nothing is being heeded. */
  settled(): Promise<void>
  /** What Redis has not taken yet is offered once more and then given up. */
  stop(): void
}

/** @param deps.answer told of each keyword that is to be answered; without it the answer is left to a worker */
export function createKeywords(deps: {
  suppressions: Pick<Suppressions, 'heed'>
  log: Log
  answer?: (asked: Asked) => void
}): Keywords {
  const { suppressions, log, answer } = deps
  const stopping = new AbortController()
  const waiting: Waiting[] = []
  let heeding: Promise<void> | undefined

  async function offer(asked: Waiting): Promise<Heeded> {
    for (;;) {
      const agoMs = performance.now() - asked.cameAt
      const last = stopping.signal.aborted || agoMs > OFFERED_FOR_MS
      try {
        return await suppressions.heed({ ...asked, agoMs, leave: !answer })
      } catch (error) {
        if (last || !(error instanceof StoreFault)) throw error
      }
      await pause(OFFERED_AGAIN_AFTER_MS, stopping.signal)
    }
  }

  async function heed(asked: Waiting): Promise<boolean> {
    try {
      const { kind } = await offer(asked)
      log.info({ ...fieldsOf(asked), result: kind }, 'keyword heeded')
      if (kind === 'answer') answer?.(asked)
      return true
    } catch (error) {
      log.error({ ...fieldsOf(asked), fault: faultName(error) }, 'keyword lost')
      return false
    }
  }

  /** One after the other, so that a START never overtakes the STOP before it. */
  async function heedAll(): Promise<void> {
    for (let asked = waiting.shift(); asked; asked = waiting.shift()) asked.done(await heed(asked))
    heeding = undefined
  }

  return {
    async take(message) {
      const keyword = readKeyword(message.text)
      const destination = parseReturnAddress(message.from)
      const sender = parseSender(message.to)?.number
      log.info({ keyword, destination: destination && maskDestination(destination) }, 'message came in')
      if (keyword === 'none' || !destination || !sender) return true
      const asked = { keyword, destination, sender, cameAt: performance.now() }
      if (waiting.length >= WAITING_MAX) {
        log.error({ ...fieldsOf(asked), reason: 'too_many' }, 'keyword lost')
        return false
      }
      const { promise, resolve } = Promise.withResolvers<boolean>()
      waiting.push({ ...asked, token: crypto.randomUUID(), done: resolve })
      heeding ??= heedAll()
      return promise
    },
    async settled() {
      await heeding
    },
    stop: () => stopping.abort(),
  }
}

export function fieldsOf({ keyword, destination }: Asked): LogFields {
  return { keyword, destination: maskDestination(destination) }
}
