/**
 * The inbox as one viewer follows it: first what is there, then the changes in batches. A flood of messages costs a few
 * events a second, and a viewer who does not read costs a bounded list.
 */
import { type Inbox, type Message, phoneOf } from './inbox.ts'

/** How many messages a page shows, and the most that one batch carries. */
export const SHOWN_MAX = 100

const GATHER_MS = 50

/** Oldest first, each message as it is now. `snapshot` is everything to show, `messages` only what changed. */
export type Batch = { event: 'snapshot' | 'messages'; messages: Message[] }

/** @param phone only what this phone got or wrote; undefined for all. `batches` ends after `end()`. */
export function watchChanges(inbox: Inbox, phone: string | undefined) {
  const changed = new Set<Message>()
  let stale = true
  let ended = false
  let wake = () => {}

  const endWatch = inbox.watch((message) => {
    if (message === undefined) stale = true
    else if (phone === undefined || phoneOf(message) === phone) keep(message)
    wake()
  })

  function keep(message: Message): void {
    changed.add(message)
    const [oldest] = changed
    if (changed.size > SHOWN_MAX && oldest) changed.delete(oldest)
  }

  async function somethingToTell(): Promise<void> {
    while (changed.size === 0 && !stale && !ended) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }

  function take(): Batch {
    const batch: Batch = stale
      ? { event: 'snapshot', messages: inbox.list({ phone, answers: true, limit: SHOWN_MAX }).reverse() }
      : { event: 'messages', messages: [...changed].sort((a, b) => a.seq - b.seq) }
    changed.clear()
    stale = false
    return batch
  }

  async function* read(): AsyncGenerator<Batch> {
    while (!ended) {
      yield take()
      await somethingToTell()
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS))
    }
  }

  return {
    batches: read(),
    end() {
      ended = true
      endWatch()
      wake()
    },
  }
}
