/** What happened in a run, as a table for people. */
import { type History, sendOf, type View } from './history.ts'
import type { Fault, Plan } from './plan.ts'

type Row = readonly [what: string, count: number | string]

export function reportOf(
  plan: Plan,
  history: History,
  struck: readonly Fault[],
  broken: readonly string[],
): string {
  const lines = [
    `seed ${plan.seed}, ${plan.forMs / 60_000} minutes, plan ${plan.print}`,
    `PROVIDERS=${plan.setup.providers}`,
    '',
    ...table(
      'faults',
      countsOf(struck, ({ place, kind }) => `${place.replace(/ \d$/, '')} ${kind}`),
    ),
    ...table('calls', callRows(history)),
    ...table('codes', codeRows(history)),
    ...table('sends at the end', stateRows(history)),
    ...table('numbers that said STOP', stopRows(history)),
    ...table(
      'events told',
      countsOf(history.told ?? [], ({ type }) => type),
    ),
    ...table('promises', [['broken', broken.length]]),
    ...broken.slice(0, 50).flatMap((what) => [`  ${what}`, ...aboutOne(what, history)]),
  ]
  return lines.join('\n')
}

function table(title: string, rows: readonly Row[]): string[] {
  const width = Math.max(24, ...rows.map(([what]) => what.length)) + 2
  return [title, ...rows.map(([what, count]) => `  ${what.padEnd(width)}${String(count).padStart(8)}`), '']
}

function countsOf<T>(things: readonly T[], nameOf: (thing: T) => string): Row[] {
  const groups = [...Map.groupBy(things, nameOf)]
  return groups.map(([name, all]): Row => [name, all.length]).sort(([a], [b]) => a.localeCompare(b))
}

function callRows({ calls }: History): Row[] {
  const slowest = Math.max(
    0,
    ...calls.filter(({ status }) => status !== undefined).map(({ tookMs }) => tookMs),
  )
  const nameOf = ({ what, status, problem }: History['calls'][number]) =>
    [what, status ?? 'no answer', problem ?? ''].join(' ').trim()
  return [...countsOf(calls, nameOf), ['slowest answer (ms)', Math.round(slowest)]]
}

function codeRows({ known, arrived }: History): Row[] {
  const checks = known.flatMap((one) => one.checks)
  const bySend = Map.groupBy(arrived, (message) => {
    const { id, send } = sendOf(message)
    return `${id} ${send}`
  })
  return [
    ['verifications', known.length],
    ...countsOf(
      checks.filter(({ result }) => result !== undefined),
      ({ result }) => `answered ${result}`,
    ),
    ['SMS', arrived.length],
    ...countsOf(arrived, ({ road }) => `SMS over ${road === 'REST' ? 'REST' : 'the websocket'}`),
    ['second SMS of a send', [...bySend.values()].filter((all) => all.length > 1).length],
  ]
}

function stateRows({ known }: History): Row[] {
  const sends = known.flatMap(({ view }) => view?.sends ?? [])
  return [
    ...countsOf(sends, ({ status }) => status),
    ['attempts', sends.reduce((all, { timeline }) => all + (timeline.at(-1)?.attempt ?? 0), 0)],
    ['busy attempts (of those kept)', sends.flatMap(({ timeline }) => timeline).filter(isBusy).length],
    ['tried over both roads', sends.filter(wentBothRoads).length],
    ['possible duplicates told', sends.filter((send) => send.possible_duplicate).length],
  ]
}

/** All that was seen of the one a sentence names, for whoever must find out why. */
function aboutOne(what: string, { known, healedAtMs }: History): string[] {
  const one = known.find(({ id }) => what.includes(id))
  if (!one?.view) return []
  const healed = healedAtMs === undefined ? '' : ` healed ${new Date(healedAtMs).toISOString()}`
  return [`    ending ${one.to.slice(-4)}${healed} ${JSON.stringify(one.view)}`]
}

const isBusy = ({ outcome }: View['sends'][number]['timeline'][number]) => outcome === 'busy'

const wentBothRoads = ({ timeline }: View['sends'][number]) =>
  new Set(timeline.flatMap(({ provider }) => provider ?? [])).size > 1

function stopRows({ stops }: History): Row[] {
  return [
    ['heeded', stops.length],
    ['lifted by START', stops.filter(({ lifted }) => lifted).length],
  ]
}
