/**
 * How often somebody else may be asked on behalf of callers nobody knows yet: so many at once, all together and for one
 * address, and so many in a minute for one address. What is over it is not asked. Counted in this process, before any
 * limit of the store: a form post must not cost an outbound call each.
 */
import { createMemory } from '#verification/remember.ts'

/** With a vendor that takes the 2 s it is given, 32 are answered a second. */
const AT_ONCE_MAX = 64
/** People who share an address do not all press the button in the same second. */
const ADDRESS_AT_ONCE_MAX = 4
/** Far more than `ip_hour` lets through in an hour. */
const ADDRESS_MINUTE_MAX = 30
const MINUTE_MS = 60_000
/** About 5 MB. */
const ADDRESSES_MAX = 20_000

/** What one address has asked: when, newest last, and how many of it are not answered yet. */
type Asker = { times: number[]; open: number }

export function createAsking(now: () => number = Date.now) {
  const askers = createMemory<Asker>(ADDRESSES_MAX)
  let open = 0

  function mayAsk(asker: Asker | undefined): boolean {
    if (open >= AT_ONCE_MAX) return false
    if (asker === undefined) return true
    const oldest = asker.times.at(-ADDRESS_MINUTE_MAX)
    return asker.open < ADDRESS_AT_ONCE_MAX && (oldest === undefined || now() - oldest >= MINUTE_MS)
  }

  function askerAt(address: string): Asker | undefined {
    if (address === '') return undefined
    const known = askers.get(address)
    if (known) return known
    const fresh: Asker = { times: [], open: 0 }
    askers.set(address, fresh)
    return fresh
  }

  return {
    /**
     * What `ask` answers, or `undefined` when it is too much: then it was not called.
     *
     * @param address whom it is asked for; '' where that is not known, and then only the bound of all holds
     */
    async ask<T>(address: string, ask: () => Promise<T>): Promise<T | undefined> {
      const asker = askerAt(address)
      if (!mayAsk(asker)) return undefined
      open += 1
      if (asker) {
        asker.open += 1
        asker.times = [...asker.times.slice(1 - ADDRESS_MINUTE_MAX), now()]
      }
      try {
        return await ask()
      } finally {
        open -= 1
        if (asker) asker.open -= 1
      }
    },
  }
}
