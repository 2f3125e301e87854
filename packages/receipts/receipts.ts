/**
 * Later news from the provider, into the ledger. A receipt names its send by the reference we put on the message, or
 * by the provider's id alone; it may come before we have written that id down, so one that finds no send is offered
 * again a few times.
 */
import type { Alarm } from '#runtime/alarm.ts'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { Deliveries } from '#store/deliveries.ts'
import type { Receipt } from '#verification/outcome.ts'
import { parseReference, REPLY_REFERENCE, type SendReference } from '#verification/verification.ts'

const OFFERED_AGAIN_AFTER_MS = [200, 1_000, 5_000, 15_000]
/** Receipts waiting to be offered again; beyond it the newest is dropped and the send stays `accepted`. */
const WAITING_MAX = 10_000

export type Receipts = { take(receipt: Receipt): void; settled(): Promise<void>; stop(): void }

export function createReceipts(deps: { deliveries: Deliveries; alarm: Alarm; log: Log }): Receipts {
  const { deliveries, alarm, log } = deps
  const timers = new Set<NodeJS.Timeout>()
  const taking = new Set<Promise<void>>()

  async function findSend(receipt: Receipt): Promise<SendReference | undefined> {
    const reference = receipt.reference ?? (await deliveries.findMessage(receipt.messageId))
    return reference === undefined ? undefined : parseReference(reference)
  }

  async function take(receipt: Receipt, offers: number): Promise<void> {
    try {
      const send = await findSend(receipt)
      if (!send) return offerAgain(receipt, offers)
      const taken = await deliveries.takeReceipt(send, receipt)
      if (taken.kind !== 'moved') return
      alarm(receipt)
      const { application, verification, send: number } = send
      log.info({ application, verification, send: number, receipt: receipt.state }, 'receipt')
    } catch (error) {
      log.debug({ fault: faultName(error) }, 'receipt put off')
      offerAgain(receipt, offers)
    }
  }

  function offerAgain(receipt: Receipt, offers: number): void {
    const waitMs = OFFERED_AGAIN_AFTER_MS[offers]
    if (waitMs === undefined || timers.size >= WAITING_MAX) {
      log.warn({ receipt: receipt.state }, 'receipt found no send')
      return
    }
    const timer = setTimeout(() => {
      timers.delete(timer)
      track(receipt, offers + 1)
    }, waitMs)
    timers.add(timer)
  }

  function track(receipt: Receipt, offers: number): void {
    const promise = take(receipt, offers).finally(() => taking.delete(promise))
    taking.add(promise)
  }

  return {
    take(receipt) {
      // An automatic answer stands in no ledger.
      if (receipt.reference !== REPLY_REFERENCE) track(receipt, 0)
    },
    /** Resolves when no receipt is being written. */
    async settled(): Promise<void> {
      await Promise.all(taking)
    },
    stop(): void {
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
