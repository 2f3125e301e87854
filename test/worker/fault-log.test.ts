/** What loops stumble over, in the log: mistakes of ours seen and not repeated, outages left to their connection. */
import { describe, expect, it } from 'vitest'
import { QueueFault } from '#queue/queue-fault.ts'
import type { Log, LogFields } from '#runtime/log.ts'
import { StoreFault } from '#store/script.ts'
import { createFaultLog, SAID_AGAIN_MS } from '#worker/fault-log.ts'

function logging() {
  const said: string[] = []
  const keep = (level: string) => (fields: LogFields, msg: string) =>
    void said.push([level, fields.application, fields.fault, msg].filter(Boolean).join(' '))
  const log: Log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
  const clock = { now: 0 }
  return { said, clock, stumbled: createFaultLog(log, () => clock.now) }
}

describe('a fault', () => {
  it.each([
    [new TypeError('x'), 'error TypeError put off'],
    [new StoreFault('x'), 'debug StoreFault put off'],
    [new StoreFault('x', { cause: new RangeError() }), 'debug RangeError put off'],
    [new QueueFault('x'), 'debug QueueFault put off'],
    ['a word', 'error string put off'],
  ])('%s is said as %s', (error, line) => {
    const { said, stumbled } = logging()
    stumbled(error, {}, 'put off')
    expect(said).toEqual([line])
  })

  it.each([
    [SAID_AGAIN_MS - 1, 1],
    [SAID_AGAIN_MS, 2],
  ])('that goes on for %i ms is said %i times', (ms, times) => {
    const { said, clock, stumbled } = logging()
    for (const at of [0, 1, ms]) {
      clock.now = at
      stumbled(new TypeError('x'), {}, 'put off')
    }
    expect(said).toHaveLength(times)
  })

  it('is not said for another, of another application or at another place', () => {
    const { said, stumbled } = logging()
    for (const error of [new TypeError('x'), new RangeError('x')])
      for (const application of ['shop', 'bank'])
        for (const place of ['sweep', 'events']) stumbled(error, { application }, place)
    expect(said).toHaveLength(8)
  })
})
