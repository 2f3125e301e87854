/** What stops every code is said at level error, with what to do, and not for every send. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createAlarm } from '#runtime/alarm.ts'
import type { LogFields } from '#runtime/log.ts'
import { silentLog } from '#test/fixtures/redis.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

function listening() {
  const lines: [LogFields, string][] = []
  const alarm = createAlarm({ ...silentLog, error: (fields, message) => lines.push([fields, message]) })
  return { alarm, lines }
}

describe('a reason that needs somebody', () => {
  it.each([
    ['credentials_refused', 'SIGNALWIRE_TOKEN'],
    ['account_blocked', 'balance'],
    ['misconfigured', 'SIGNALWIRE_SPACE'],
    ['daily_limit', 'calls'],
    ['content_filtered', 'campaign'],
  ])('%s is said, with what to do', (reason, what) => {
    const { alarm, lines } = listening()
    alarm({ reason, provider: 'signalwire-rest' })
    expect(lines).toEqual([[{ reason, provider: 'signalwire-rest' }, expect.stringContaining(what)]])
  })

  it('is said once in ten minutes, whatever else is said meanwhile', () => {
    const { alarm, lines } = listening()
    const minutes: number[] = []
    for (let minute = 0; minute <= 20; minute++) {
      const before = lines.length
      for (let n = 0; n < 3; n++) alarm({ reason: 'account_blocked' })
      if (lines.length > before) minutes.push(minute)
      if (minute === 5) alarm({ reason: 'misconfigured' })
      vi.advanceTimersByTime(60_000)
    }
    expect(minutes).toEqual([0, 10, 20])
    expect(lines.map(([{ reason }]) => reason)).toContain('misconfigured')
  })
})

it.each([undefined, '', 'rate_limited', 'not_connected', 'constructor', 'no answer'])(
  '%j is nobody\u2019s',
  (reason) => {
    const { alarm, lines } = listening()
    alarm(reason === undefined ? {} : { reason })
    expect(lines).toEqual([])
  },
)
