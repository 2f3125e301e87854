// One program that `npm start` runs as a child: started, asked whether it is ready, ended, and what it said last.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'

const POLL_MS = 50
const ANSWER_DEADLINE_MS = 2000
const LAST_LINES = 10

export type RunningProgram = {
  name: string
  port: number
  endsLast: boolean
  /** Settles with a sentence when the program has ended and all it wrote was read. */
  ended: Promise<string>
  kill(signal: NodeJS.Signals): void
}

export function startProgram(options: {
  name: string
  /** Full path. */
  file: string
  port: number
  endsLast: boolean
  cwd: string
  env: NodeJS.ProcessEnv
  print: (name: string, line: string) => void
}): RunningProgram {
  const { name, file, port, endsLast, cwd, env, print } = options
  const child = spawn(process.execPath, [file], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const last: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      last.push(line)
      if (last.length > LAST_LINES) last.shift()
      print(name, line)
    })
  }
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`${name} did not start: ${error.message}`))
    child.once('close', (code, signal) => resolve(sentence(name, signal ?? `exit code ${code}`, last)))
  })
  return { name, port, endsLast, ended, kill: (signal) => void child.kill(signal) }
}

function sentence(name: string, how: string, last: string[]): string {
  const lines = last.map((line) => `\n    ${line}`).join('')
  return `${name} ended by itself (${how}). ${lines ? `Its last lines:${lines}` : 'It wrote nothing.'}`
}

/** Waits until GET /readyz answers 200; `slow` hears once, after `slowMs`, what it answers instead. */
export async function untilReady(
  program: RunningProgram,
  { signal, slowMs, slow }: { signal: AbortSignal; slowMs: number; slow: (answer: string) => void },
): Promise<void> {
  const slowAt = Date.now() + slowMs
  let told = false
  while (!signal.aborted) {
    const answer = await askReady(program.port)
    if (answer === 'ready') return
    if (!told && Date.now() > slowAt) slow(answer)
    told ||= Date.now() > slowAt
    await wait(POLL_MS)
  }
}

async function askReady(port: number): Promise<string> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, {
      signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
    })
    const body = await answer.text()
    return answer.ok ? 'ready' : `${answer.status} ${body.slice(0, 200)}`
  } catch {
    return 'no answer'
  }
}
