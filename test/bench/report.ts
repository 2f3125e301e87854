/** What a measurement prints: the machine, the date, and each line as a ratio with what was to be reached. */
import { cpus, totalmem } from 'node:os'
import type { Measured } from './load.ts'

export function printMachine(redisVersion: string): void {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  console.log(`${new Date().toISOString()}  Node ${process.versions.node}  Redis ${redisVersion}`)
  console.log(`${cpus().length} × ${cpu?.model ?? 'unknown processor'}, ${memory} GiB`)
  console.log(
    'Load generator, programs and Redis share these cores. Ratios count, absolute numbers are this machine.',
  )
}

export type Goal = { atLeast: number } | { atMost: number } | undefined

/** @returns whether the goal was reached */
export function printLine(what: string, value: number, unit: string, goal?: Goal): boolean {
  const reached = goal === undefined || ('atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost)
  const wanted = goal === undefined ? '' : 'atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`
  const verdict = goal === undefined ? '' : reached ? 'reached' : 'MISSED'
  console.log(
    `  ${what.padEnd(58)} ${format(value).padStart(9)} ${unit.padEnd(9)} ${wanted.padStart(8)}  ${verdict}`,
  )
  return reached
}

export function printMeasured(what: string, { perSecond, p50Ms, p99Ms, statuses }: Measured): void {
  const answers = Object.entries(statuses).map(([status, count]) => `${count} × ${status}`)
  console.log(
    `  ${what.padEnd(58)} ${format(perSecond).padStart(9)} /s        p50 ${p50Ms} ms, p99 ${p99Ms} ms  (${answers.join(', ')})`,
  )
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function format(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(2)
}
