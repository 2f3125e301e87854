/** Which events are written at all: read by every program, because the script that makes a change writes its event. */
import { EVENT_TYPES, type EventType } from '#verification/event.ts'
import { type Kind, listOf, type Reader } from './env.ts'

const someEvents: Kind<readonly EventType[]> = {
  expected: `* or a name such as ${EVENT_TYPES[1]} (README, "Webhooks")`,
  parse(text) {
    if (text === '*') return EVENT_TYPES
    const found = EVENT_TYPES.find((type) => type === text)
    return found && [found]
  },
}

/** Without a receiver none. */
export function readEvents(reader: Reader): readonly EventType[] {
  const wanted = reader.value('WEBHOOK_EVENTS', listOf(someEvents), [EVENT_TYPES]).flat()
  return reader.has('WEBHOOK_URL') ? [...new Set(wanted)] : []
}
