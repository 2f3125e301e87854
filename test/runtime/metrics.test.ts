/** What Prometheus reads of a program, whatever the log writes. */
import { describe, expect, it, vi } from 'vitest'
import { heardBy, type Log, type LogFields } from '#runtime/log.ts'
import { countedByBoth, countLines, createMetrics } from '#runtime/metrics.ts'

/** The samples of these metrics, without those of the process. */
async function samplesOf(metrics: { text(): Promise<string> }): Promise<string[]> {
  const lines = (await metrics.text()).split('\n')
  return lines.filter((line) => line.startsWith('sms2fa_'))
}

function logOf() {
  const written: string[] = []
  const metrics = createMetrics()
  const write = (level: string) => (_: LogFields, message: string) => void written.push(`${level} ${message}`)
  const log: Log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  }
  return { written, metrics, log: heardBy(log, countLines(metrics, countedByBoth(metrics))) }
}

describe('the metrics of a program', () => {
  it('count a line that the log writes too', async () => {
    const { log, metrics, written } = logOf()
    log.info({ receipt: 'delivered' }, 'receipt')
    log.info({ receipt: 'delivered' }, 'receipt')
    log.info({ receipt: 'undelivered' }, 'receipt')
    log.info({ keyword: 'stop' }, 'keyword heeded')
    expect(written).toHaveLength(4)
    expect(await samplesOf(metrics)).toEqual([
      'sms2fa_receipts_total{receipt="delivered"} 2',
      'sms2fa_receipts_total{receipt="undelivered"} 1',
      'sms2fa_keywords_total{keyword="stop"} 1',
      'sms2fa_log_lines_total{level="warn"} 0',
      'sms2fa_log_lines_total{level="error"} 0',
    ])
  })

  it('count what is worth an alarm by its level, known line or not', async () => {
    const { log, metrics } = logOf()
    log.debug({}, 'one')
    log.info({}, 'two')
    log.warn({ limit: 'region_day' }, 'a limit is nearly reached')
    log.error({}, 'four')
    log.error({}, 'five')
    expect(await samplesOf(metrics)).toEqual([
      'sms2fa_limit_warnings_total{limit="region_day"} 1',
      'sms2fa_log_lines_total{level="warn"} 1',
      'sms2fa_log_lines_total{level="error"} 2',
    ])
  })

  it('tell a label that is not there as an empty word', async () => {
    const metrics = createMetrics()
    const count = metrics.counter({ name: 'things_total', help: 'Things', labels: ['kind', 'more'] })
    count({ kind: 'one', more: undefined }, 3)
    expect(await samplesOf(metrics)).toEqual(['sms2fa_things_total{kind="one",more=""} 3'])
  })

  it('tell durations in seconds', async () => {
    const metrics = createMetrics()
    const took = metrics.durations({ name: 'time_seconds', help: 'Time', labels: ['kind'] }, [0.1, 1])
    took({ kind: 'one' }, 250)
    took({ kind: 'one' }, 50)
    expect((await samplesOf(metrics)).filter((line) => !line.includes('+Inf'))).toEqual([
      'sms2fa_time_seconds_bucket{le="0.1",kind="one"} 1',
      'sms2fa_time_seconds_bucket{le="1",kind="one"} 2',
      'sms2fa_time_seconds_sum{kind="one"} 0.3',
      'sms2fa_time_seconds_count{kind="one"} 2',
    ])
  })

  it('ask at each scrape what is so, and leave out what cannot be told', async () => {
    const metrics = createMetrics()
    const read = vi
      .fn()
      .mockResolvedValueOnce({ waiting: 3, active: 1 })
      .mockResolvedValueOnce({ waiting: 2 })
    metrics.values({ name: 'jobs', help: 'Jobs', labels: ['state'] }, read)
    metrics.value('ready', 'Whether', () => read.mock.calls.length < 2)
    expect(await samplesOf(metrics)).toEqual([
      'sms2fa_jobs{state="waiting"} 3',
      'sms2fa_jobs{state="active"} 1',
      'sms2fa_ready 1',
    ])
    expect(await samplesOf(metrics)).toEqual(['sms2fa_jobs{state="waiting"} 2', 'sms2fa_ready 0'])
    read.mockRejectedValueOnce(new Error('Redis is away'))
    expect(await samplesOf(metrics)).toEqual(['sms2fa_ready 0'])
  })

  it('leave out a single value that cannot be told, and only then', async () => {
    const metrics = createMetrics()
    const read = vi
      .fn()
      .mockResolvedValueOnce(3)
      .mockRejectedValueOnce(new Error('away'))
      .mockResolvedValue(4)
    metrics.value('waiting', 'How many', read)
    for (const samples of [['sms2fa_waiting 3'], [], ['sms2fa_waiting 4']])
      expect(await samplesOf(metrics)).toEqual(samples)
  })

  it('hold those of the process', async () => {
    const text = await createMetrics().text()
    for (const name of ['process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds'])
      expect(text).toContain(`# TYPE ${name} `)
  })
})
