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
}

export type Measured = { perSecond: number; p50Ms: number; p99Ms: number; statuses: Record<string, number> }

/** Long enough that what is measured is compiled. */
const WARM_UP_S = 8

export async function measure(load: Load): Promise<Measured> {
  await run(load, WARM_UP_S)
  return run(load, load.seconds ?? 6)
}

/** Alternates with the floor, so that a machine that slows down slows both. */
export async function measureAgainst(floor: Load, load: Load): Promise<{ floor: Measured; load: Measured }> {
  const before = await measure(floor)
  const measured = await measure(load)
  const after = await measure(floor)
  return { floor: before.perSecond > after.perSecond ? before : after, load: measured }
}

async function run(load: Load, seconds: number): Promise<Measured> {
  const { path } = load
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
