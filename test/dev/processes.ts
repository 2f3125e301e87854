// Processes as tests see them: started with their output gathered, waited for by what they say, and whether any is left.

import { type ChildProcess, spawn } from 'node:child_process'
import { vi } from 'vitest'
import { alive } from '#dev/processes.mjs'

export type Watched = {
  child: ChildProcess
  /** Everything written so far, both streams. */
  output(): string
  says(text: string): Promise<void>
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

export function watch(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; detached?: boolean } = {},
): Watched {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  const says = async (text: string) => {
    await vi.waitFor(
      () => {
        if (!output.includes(text)) throw new Error(`never said ${JSON.stringify(text)}, only:\n${output}`)
      },
      { timeout: 10_000, interval: 10 },
    )
  }
  return { child, output: () => output, says, ended }
}

/** Waits until no process has this number: a killed one takes a moment to be gone. */
export async function gone(pid: number): Promise<void> {
  await vi.waitFor(
    () => {
      if (alive(pid)) throw new Error(`process ${pid} still runs`)
    },
    { timeout: 10_000, interval: 10 },
  )
}
