/** What will happen in a run, and when: drawn from the seed alone, before anything is started. */
import { createHash } from 'node:crypto'
import { createRandom, type Random } from './random.ts'

/** Where a fault strikes; one at a time at each place. */
export type Place =
  | 'redis'
  | 'provider'
  | 'rest'
  | 'receiver'
  | 'queue'
  | 'worker 0'
  | 'worker 1'
  | 'api 0'
  | 'api 1'

/** How the service is set up: the ways of sending, in their order. */
export type Setup = { providers: 'relay' | 'relay,rest' }

/** Kinds of fault of each kind of place: how often, and from how short to how long (ms) it lasts. */
const FAULTS = {
  redis: {
    frozen: [3, 500, 30_000],
    'killed and back': [3, 300, 10_000],
    'out of memory': [2, 300, 10_000],
    'read-only': [2, 300, 10_000],
    'without its replicas': [3, 3, 10_000],
    'without its scripts': [2, 1, 1],
    'every connection cut': [2, 1, 1],
  },
  provider: {
    'connections cut': [3, 1, 1],
    restarting: [2, 1, 1],
    gone: [3, 500, 30_000],
    'answering 503': [2, 500, 20_000],
    'answering late': [3, 2_000, 20_000],
    'connections cut every 5 s': [1, 15_000, 30_000],
    // A token being rotated.
    'refusing credentials': [2, 500, 10_000],
  },
  // The other road alone; all but `gone` and `answering late` of the provider are the websocket alone.
  rest: {
    gone: [2, 500, 20_000],
    hanging: [2, 500, 20_000],
    'answering 503': [2, 500, 20_000],
    'refusing credentials': [1, 500, 20_000],
  },
  receiver: {
    gone: [2, 500, 15_000],
    hanging: [2, 500, 15_000],
    'answering 503': [1, 500, 15_000],
  },
  queue: {
    'poison jobs': [2, 1, 1],
    'jobs again': [3, 1, 1],
  },
  worker: {
    killed: [4, 200, 15_000],
    'told to stop': [2, 200, 5_000],
    frozen: [4, 500, 30_000],
    blocked: [2, 1, 1],
    'of another version': [1, 5_000, 20_000],
  },
  api: {
    killed: [2, 200, 5_000],
    'told to stop': [2, 200, 5_000],
  },
} as const satisfies Record<string, Record<string, readonly [weight: number, fromMs: number, toMs: number]>>

export type FaultOf<Kind extends keyof typeof FAULTS> = keyof (typeof FAULTS)[Kind]
export type Fault = { atMs: number; place: Place; kind: string; lastsMs: number }

/** What somebody does with a code once it has been asked for. */
export type Intent =
  | 'types it'
  | 'types it twice at once'
  | 'guesses'
  | 'cancels'
  | 'asks again'
  | 'leaves'
  | 'says STOP'
export type Person = {
  atMs: number
  to: string
  api: 0 | 1
  /** The same start goes to both APIs at once, under one Idempotency-Key. */
  doubled: boolean
  /** Wrong codes before anything else. */
  wrong: number
  intent: Intent
  /** How long they take to do it. */
  afterMs: number
  /** How long who says STOP keeps to it, before they say START. */
  stoppedMs: number
}

export type Plan = {
  seed: number
  forMs: number
  setup: Setup
  people: Person[]
  faults: Fault[]
  print: string
}

const PERSON_EVERY_MS = 300
const FAULT_EVERY_MS = 3_000
/** Nothing strikes before everything has been seen to work. */
const CALM_MS = 5_000
/** Where something breaks, and where it is well again, is where promises are broken: a crowd comes at both. */
const CROWD = { people: 8, withinMs: 150 }

/**
 * A number that is never answered, one whose send cuts the websocket, and one that makes SignalWire restart: each is a
 * fault to everybody else's send. None is asked for so late that it could still be sent to when the faults are over.
 */
const BREAKING = ['0106', '0107', '0112']
const LAST_BREAKING_MS = 60_000

/** An event is told again after 5, 15 and 45 s at most: so the receiver is well when one it did not take comes again. */
const CALM_OF: Partial<Record<Place, number>> = { receiver: 60_000 }

export function drawPlan(seed: number, forMs: number): Plan {
  const setup = drawSetup(createRandom(seed ^ 0x5e7))
  const faults = drawFaults(createRandom(seed ^ 0x5eed), forMs, setup)
  const people = drawPeople(createRandom(seed), forMs, faults)
  const print = createHash('sha256')
    .update(JSON.stringify([setup, people, faults]))
    .digest('hex')
    .slice(0, 12)
  return { seed, forMs, setup, people, faults, print }
}

function drawSetup(random: Random): Setup {
  return {
    providers: random.weighted<Setup['providers']>([
      ['relay', 1],
      ['relay,rest', 1],
    ]),
  }
}

function drawPeople(random: Random, forMs: number, faults: readonly Fault[]): Person[] {
  return drawTimes(random, forMs, faults).map((atMs, index) => ({
    atMs,
    to: numberOf(index, drawEnding(random, atMs < forMs - LAST_BREAKING_MS)),
    api: random.chance(0.5) ? 0 : 1,
    doubled: random.chance(0.1),
    wrong: random.weighted([
      [0, 7],
      [1, 2],
      [2, 1],
    ]),
    intent: random.weighted<Intent>([
      ['types it', 50],
      ['types it twice at once', 10],
      ['guesses', 6],
      ['cancels', 8],
      ['asks again', 8],
      ['leaves', 6],
      ['says STOP', 4],
    ]),
    afterMs: random.time(20, 8_000),
    stoppedMs: random.time(1_000, 20_000),
  }))
}

/** When people come: one by one all the time, and in crowds at both ends of every fault. */
function drawTimes(random: Random, forMs: number, faults: readonly Fault[]): number[] {
  const times: number[] = []
  for (let atMs = 500; atMs < forMs; atMs += random.wait(PERSON_EVERY_MS)) times.push(atMs)
  for (const { atMs, lastsMs } of faults) {
    for (const edge of new Set([atMs, atMs + lastsMs])) {
      for (let one = 0; one < CROWD.people; one += 1)
        times.push(edge + random.integer(-CROWD.withinMs, CROWD.withinMs))
    }
  }
  return times.filter((atMs) => atMs < forMs).sort((a, b) => a - b)
}

/** Most numbers are ordinary; the others behave as the sandbox's table says. */
function drawEnding(random: Random, mayBreak: boolean): string {
  if (random.chance(0.85)) return '0100'
  const ending = `01${String(random.integer(1, 13)).padStart(2, '0')}`
  return mayBreak || !BREAKING.includes(ending) ? ending : '0100'
}

const AREAS = ['202', '212', '213', '312', '415', '512', '617', '702', '206', '303', '404', '503']

/** A valid number of its own for each, for 9,000 of them. */
function numberOf(index: number, ending: string): string {
  return `+1${AREAS[index % AREAS.length]}${220 + Math.floor(index / AREAS.length)}${ending}`
}

function drawFaults(random: Random, forMs: number, { providers }: Setup): Fault[] {
  const faults: Fault[] = []
  const busyUntil = new Map<Place, number>()
  for (let atMs = CALM_MS; atMs < forMs; atMs += random.wait(FAULT_EVERY_MS)) {
    const place = random.weighted<Place>([
      ['redis', 6],
      ['provider', 6],
      ['rest', providers === 'relay,rest' ? 4 : 0],
      ['receiver', 2],
      ['queue', 2],
      ['worker 0', 3],
      ['worker 1', 3],
      ['api 0', 1],
      ['api 1', 1],
    ])
    const { kind, lastsMs } = drawFault(random, place)
    if (atMs < (busyUntil.get(place) ?? 0)) continue
    busyUntil.set(place, atMs + lastsMs + (CALM_OF[place] ?? 1_000))
    faults.push({ atMs, place, kind, lastsMs })
  }
  return faults
}

function drawFault(random: Random, place: Place): Pick<Fault, 'kind' | 'lastsMs'> {
  const kinds = Object.entries(FAULTS[place.split(' ')[0] as keyof typeof FAULTS])
  const [kind, [, from, to]] = random.weighted(kinds.map((entry) => [entry, entry[1][0]] as const))
  return { kind, lastsMs: random.time(from, to) }
}
