/** What a replay comes to, in words: who was refused, by which limit, and what it cost. */
import { formatMoney } from '#verification/gate.ts'
import type { Verdict } from './replay.ts'

type Sum = { count: number; price: number }

export type Report = { add(verdict: Verdict): void; summary(): string }

export function createReport(): Report {
  const sent: Sum = { count: 0, price: 0 }
  const refused = new Map<string, Sum>()
  const spoke = new Map<string, number>()
  const checks = new Map<string, number>()
  let starts = 0

  return {
    add({ traffic, result, limit, explain, price }) {
      for (const word of explain.split(' ').filter(Boolean)) bump(spoke, word)
      if (traffic.event === 'approve') return bump(checks, result)
      starts += 1
      if (isSent(result)) return addTo(sent, price)
      const name = limit === undefined ? result : `${result} (${limit})`
      const sum = refused.get(name) ?? { count: 0, price: 0 }
      refused.set(name, sum)
      addTo(sum, price)
    },

    summary() {
      const total = [...refused.values()].reduce(
        (all, { count, price }) => ({ count: all.count + count, price: all.price + price }),
        { count: 0, price: 0 },
      )
      return [
        `${starts} starts: ${sent.count} sent for ${formatMoney(sent.price)}, ${total.count} refused, which would have cost ${formatMoney(total.price)}`,
        ...section(
          'refused',
          [...refused].map(([name, { count, price }]) => [name, `${count}, ${formatMoney(price)}`]),
        ),
        ...section(
          'rules that only spoke up',
          [...spoke].map(([name, count]) => [name, String(count)]),
        ),
        ...section(
          'checks',
          [...checks].map(([name, count]) => [name, String(count)]),
        ),
      ].join('\n')
    },
  }
}

/** One line about a start that was refused. */
export function lineOf({ traffic, destination, result, limit, price }: Verdict): string {
  const at = new Date(traffic.atMs).toISOString()
  const where = limit === undefined ? result : `${result} ${limit}`
  return `${at}  ${destination}  ${traffic.clientIp ?? '-'}  ${where}  ${formatMoney(price)}`
}

export function isSent(result: string): boolean {
  return result === 'sent' || result === 'sent again'
}

function addTo(sum: Sum, price: number): void {
  sum.count += 1
  sum.price += price
}

function bump(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function section(title: string, rows: readonly (readonly [string, string])[]): string[] {
  return rows.length === 0 ? [] : ['', `${title}:`, ...rows.map(([name, value]) => `  ${name}: ${value}`)]
}
