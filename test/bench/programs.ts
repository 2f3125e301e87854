/** The programs a measurement needs, each a process of its own, as a person would start them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '#dev/ports.ts'
import { DEFAULT_GUESS_RULES, DEFAULT_RULES, type Rule } from '#verification/gate.ts'
import type { Sender } from '#verification/sender.ts'

/** Every rule is asked and counted, as in production, and none of them trips. */
const WIDE_GATE: Record<string, string> = Object.fromEntries(
  [...DEFAULT_RULES, ...DEFAULT_GUESS_RULES].map(({ name, counts }) => [
    `LIMIT_${name.toUpperCase()}`,
    wideOpen(counts),
  ]),
)

function wideOpen(counts: Rule['counts']): string {
  if (counts === 'conversion') return '1%/999999'
  if (counts === 'numbers' || counts === 'regions') return '100'
  return counts === 'spend' ? '9999999.00' : '999999999'
}

const ROOT = join(import.meta.dirname, '../..')
const READY_DEADLINE_MS = 20_000

/** What is measured is the service, not how long a number takes. */
export const UNHURRIED: Sender = { number: '+12025550199', kind: '10dlc', perSecond: 100_000 }
const UNHURRIED_ENV = { SIGNALWIRE_NUMBER: `${UNHURRIED.number}:${UNHURRIED.perSecond}` }

export type BenchProgram = { url: string; pid: number; stop(): Promise<void> }

/** @param portVariable the variable that names the program's port */
export async function startProgram(
  main: string,
  portVariable: string,
  env: Record<string, string>,
): Promise<BenchProgram> {
  const port = await freePort()
  const child = spawn(process.execPath, [main], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      [portVariable]: String(port),
      ...WIDE_GATE,
      ...UNHURRIED_ENV,
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const url = `http://127.0.0.1:${port}`
  await untilReady(url, child)
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS
  while (child.exitCode === null && Date.now() < deadline) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined)
    if (answer?.ok) return
    await wait(50)
  }
  child.kill('SIGKILL')
  throw new Error(`${child.spawnargs.join(' ')} did not become ready`)
}
