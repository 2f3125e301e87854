/**
 * Later news from the provider, into the ledger. A receipt names its send by the reference we put on the message, or
 * by the provider's id alone; it may come before we have written that id down, so one that finds no send is offered
 * again a few times. One that Redis does not take is kept until it does, for as long as the code lives.
 */
import type { Alarm } from '#runtime/alarm.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Deliveries } from '#store/deliveries.ts'
import { StoreFault } from '#store/script.ts'
import type { Receipt } from '#verification/outcome.ts'
import { parseReference, REPLY_REFERENCE, type SendReference } from '#verification/verification.ts'

/** When one that found no send is offered again. */
const OFFERED_AGAIN_AFTER_MS = [200, 1_000, 5_000, 15_000]
/** While Redis is away one of those that wait knocks for all. */
const KNOCK_MS = 500
/** Offered together once it has answered. */
const BATCH = 100
/** Receipts that wait for a send or for Redis, a few MB; beyond it the newest is dropped. */
const WAITING_MAX = 10_000

type Waiting = { receipt: Receipt; cameAt: number; offers: number }
type GivenUp = 'redis_away' | 'too_many' | 'fault'

export type Receipts = {
  /** Whether it has been dealt with; false when it is kept because Redis did not take it. Never rejects. */
  take(receipt: Receipt): Promise<boolean>
  /** Resolves when no receipt is being written. */
  settled(): Promise<void>
  /** Offers what waits once more, gives the rest up and says how many. */
  stop(): Promise<void>
}

/**
 * @param deps.forMs how long a receipt is worth keeping: the life of a code
 * @param deps.alarm told of each receipt that moves its send
 */
export function createReceipts(deps: {
  deliveries: Deliveries
  forMs: number
  alarm: Alarm
  log: Log
}): Receipts {
  const { deliveries, forMs, alarm, log } = deps
  /** They found no send, and are offered again in a while. */
  const early = new Map<Waiting, NodeJS.Timeout>()
  /** Redis did not take them. */
  let kept: Waiting[] = []
  let knocking: NodeJS.Timeout | undefined
  const taking = new Set<Promise<boolean>>()
  let stopped = false
  let unsaid = 0

  async function findSend(receipt: Receipt): Promise<SendReference | undefined> {
    const reference = receipt.reference ?? (await deliveries.findMessage(receipt.messageId))
    return reference === undefined ? undefined : parseReference(reference)
  }

  function giveUp({ receipt }: Waiting, reason: GivenUp, more: LogFields = {}): void {
    if (stopped) unsaid += 1
    else log.error({ ...fieldsOf(receipt), reason, ...more }, 'receipt not stored')
  }

  async function offer(one: Waiting): Promise<boolean> {
    const { receipt } = one
    try {
      const send = await findSend(receipt)
      if (!send) offerAgain(one)
      else if ((await deliveries.takeReceipt(send, receipt)).kind === 'moved') {
        alarm(receipt)
        log.info(fieldsOf(receipt, send), 'receipt')
      }
      return true
    } catch (error) {
      if (error instanceof StoreFault) keep(one)
      else giveUp(one, 'fault', { fault: faultName(error) })
      return false
    }
  }

  function track(one: Waiting): Promise<boolean> {
    const promise = offer(one).finally(() => taking.delete(promise))
    taking.add(promise)
    return promise
  }

  const isFull = () => early.size + kept.length >= WAITING_MAX

  function offerAgain(one: Waiting): void {
    const waitMs = OFFERED_AGAIN_AFTER_MS[one.offers]
    if (waitMs === undefined) log.warn(fieldsOf(one.receipt), 'receipt found no send')
    else if (stopped || isFull()) giveUp(one, 'too_many')
    else early.set(one, setTimeout(offerEarly, waitMs, one))
  }

  function offerEarly(one: Waiting): void {
    early.delete(one)
    void track({ ...one, offers: one.offers + 1 })
  }

  const isLate = ({ cameAt }: Waiting) => performance.now() - cameAt + KNOCK_MS > forMs

  function keep(one: Waiting): void {
    if (stopped || isLate(one)) giveUp(one, 'redis_away')
    else if (isFull()) giveUp(one, 'too_many')
    else {
      kept.push(one)
      knocking ??= setTimeout(knock, KNOCK_MS)
    }
  }

  /** What Redis does not take is kept again, which sets the time of the next knock. */
  async function knock(): Promise<void> {
    knocking = undefined
    const waiting = kept
    kept = []
    for (const one of waiting) {
      if (isLate(one)) giveUp(one, 'redis_away')
      else kept.push(one)
    }
    for (let count = 1; kept.length > 0 && knocking === undefined; count = BATCH)
      await Promise.all(kept.splice(0, count).map(track))
  }

  return {
    async take(receipt) {
      // An automatic answer stands in no ledger.
      if (receipt.reference === REPLY_REFERENCE) return true
      return track({ receipt, cameAt: performance.now(), offers: 0 })
    },
    async settled(): Promise<void> {
      await Promise.all(taking)
    },
    async stop(): Promise<void> {
      stopped = true
      clearTimeout(knocking)
      for (const timer of early.values()) clearTimeout(timer)
      const rest = [...early.keys(), ...kept.splice(0)]
      early.clear()
      await Promise.all([...taking, ...rest.map(track)])
      if (unsaid > 0) log.error({ count: unsaid }, 'receipts not stored')
    },
  }
}

function fieldsOf(receipt: Receipt, send = parseReference(receipt.reference ?? '')): LogFields {
  const { state } = receipt
  if (!send) return { receipt: state }
  const { application, verification } = send
  return { application, verification, send: send.send, receipt: state }
}
