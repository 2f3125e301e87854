/** Load on one address: bounded in time and connections, loopback only, a warm-up before what counts. */
import autocannon from 'autocannon'

export type Load = {
  url: string
  path: string | (() => string)
  body: () => string
  connections?: number
  /** Requests a second over all connections; as many as fit when left out. */
  rate?: number
  seconds?: number
  /** Done before each run, outside its time. */
  prepare?: () => Promise<void>
}

export type Measured = { perSecond: number; p50Ms: number; p99Ms: number; statuses: Record<string, number> }

/** Long enough that what is measured is compiled. */
const WARM_UP_S = 8

export async function measure(load: Load): Promise<Measured> {
  await run(load, WARM_UP_S)
  return run(load, load.seconds ?? 6)
}

export type Compared = { floor: Measured; load: Measured; ratio: number }

const ROUNDS = 7
const ROUND_S = 3

/**
 * Takes turns with the floor and compares within each turn: a machine that slows down slows both. The ratio is the
 * median of the turns; the figures shown are those of the turn it comes from.
 */
export async function compare(floor: Load, load: Load): Promise<Compared> {
  await run(floor, WARM_UP_S)
  await run(load, WARM_UP_S)
  const turns: Compared[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const below = await run(floor, ROUND_S)
    const above = await run(load, ROUND_S)
    turns.push({ floor: below, load: above, ratio: above.perSecond / below.perSecond })
  }
  const median = turns.sort((a, b) => a.ratio - b.ratio)[Math.floor(ROUNDS / 2)]
  if (!median) throw new Error('Nothing was measured')
  return median
}

async function run(load: Load, seconds: number): Promise<Measured> {
  const { path } = load
  await load.prepare?.()
  const result = await autocannon({
    url: load.url,
    connections: load.connections ?? 50,
    duration: seconds,
    ...(load.rate === undefined ? {} : { overallRate: load.rate }),
    requests: [
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        setupRequest: (request) => ({
          ...request,
          path: typeof path === 'string' ? path : path(),
          body: load.body(),
        }),
      },
    ],
  })
  const statuses = Object.fromEntries(
    Object.entries(result.statusCodeStats ?? {}).map(([status, { count }]) => [status, count ?? 0]),
  )
  return {
    perSecond: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    statuses,
  }
}
