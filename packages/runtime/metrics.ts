/**
 * A program's metrics, as Prometheus reads them: those of its process, what its log lines are counted as, and what is
 * looked up at each scrape. The only file that imports prom-client. A label is a word of ours, never a number or a code.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, type LabelValues, Registry } from 'prom-client'
import type { Hear, LogFields } from './log.ts'

/** In front of every name but those of the process. */
const PREFIX = 'sms2fa_'

type Labels<Name extends string> = { readonly [name in Name]: string | number | undefined }
type Value = number | boolean
type Named<Name extends string> = { name: string; help: string; labels: readonly Name[] }

/** The message of a log line, and what it counts as. */
export type Counted = Readonly<Record<string, (fields: LogFields) => void>>

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })

  const settings = <Name extends string>({ name, help, labels }: Named<Name>) => ({
    name: `${PREFIX}${name}`,
    help,
    labelNames: labels,
    registers: [registry],
  })

  return {
    /**
     * Prometheus sees no increase in a counter that begins with its first one: one that an alarm asks for is counted with
     * 0 at once.
     *
     * @returns counts one, or so many, with these labels; a label that is undefined is an empty word
     */
    counter<Name extends string>(named: Named<Name>): (labels: Labels<Name>, count?: number) => void {
      const counter = new Counter(settings(named))
      return (labels, count = 1) => counter.inc(spelledOut(labels), count)
    },

    /** @param buckets their upper ends, in seconds. @returns takes one measurement, in milliseconds */
    durations<Name extends string>(
      named: Named<Name>,
      buckets: number[],
    ): (labels: Labels<Name>, ms: number) => void {
      const histogram = new Histogram({ ...settings(named), buckets })
      return (labels, ms) => histogram.observe(spelledOut(labels), ms / 1_000)
    },

    /** A value, or whether something is so, asked at each scrape; left out where `read` throws or rejects. */
    value(name: string, help: string, read: () => Value | Promise<Value>): void {
      const gauge: Gauge = new Gauge({
        ...settings({ name, help, labels: [] }),
        async collect() {
          try {
            gauge.set(Number(await read()))
          } catch {
            gauge.remove()
          }
        },
      })
    },

    /** A value for each word of a label, asked at each scrape; none where `read` rejects. */
    values(named: Named<string>, read: () => Promise<Readonly<Record<string, number>>>): void {
      const [label = ''] = named.labels
      const gauge: Gauge = new Gauge({
        ...settings(named),
        async collect() {
          const values = await read().catch(() => ({}))
          gauge.reset()
          for (const [word, value] of Object.entries(values)) gauge.set({ [label]: word }, value)
        },
      })
    },

    /** All of it, in Prometheus's text format. */
    text: () => registry.metrics(),
    /** The same, to whoever asks for `/metrics`. */
    async answer(): Promise<Response> {
      return new Response(await registry.metrics(), { headers: { 'Content-Type': registry.contentType } })
    },
  }
}

function spelledOut<Name extends string>(labels: Labels<Name>): LabelValues<Name> {
  const spelled: LabelValues<Name> = {}
  for (const name in labels) spelled[name] = labels[name] ?? ''
  return spelled
}

/** Counts lines by their messages, and warnings and errors by level, whatever LOG_LEVEL leaves out. */
export function countLines(metrics: Metrics, ...tables: readonly Counted[]): Hear {
  const lines = metrics.counter({
    name: 'log_lines_total',
    help: 'Lines of the log at level warn or error, written or not',
    labels: ['level'],
  })
  for (const level of ['warn', 'error']) lines({ level }, 0)
  const counted = new Map(tables.flatMap((table) => Object.entries(table)))
  return (level, fields, message) => {
    if (level === 'warn' || level === 'error') lines({ level })
    counted.get(message)?.(fields)
  }
}

/** The lines that both programs write. */
export function countedByBoth(metrics: Metrics): Counted {
  const receipts = metrics.counter({
    name: 'receipts_total',
    help: 'Receipts that moved a send, by what they say',
    labels: ['receipt'],
  })
  const keywords = metrics.counter({
    name: 'keywords_total',
    help: 'STOP, START and HELP that people wrote and that were heeded',
    labels: ['keyword'],
  })
  const warnings = metrics.counter({
    name: 'limit_warnings_total',
    help: 'Times that a limit was found at four fifths or more',
    labels: ['limit'],
  })
  return {
    receipt: ({ receipt }) => receipts({ receipt }),
    'keyword heeded': ({ keyword }) => keywords({ keyword }),
    'a limit is nearly reached': ({ limit }) => warnings({ limit }),
  }
}
