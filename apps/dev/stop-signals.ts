// Turns the signals of this process into two questions: stop, and (asked again) stop now. The launcher sees to it that
// one Ctrl-C arrives here once.

import type { StopSignals } from './together.ts'

export function listenForStop(): StopSignals {
  const stop = new AbortController()
  const now = new AbortController()
  const receive = () => (stop.signal.aborted ? now.abort() : stop.abort())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, receive)
  return { stop: stop.signal, now: now.signal }
}
