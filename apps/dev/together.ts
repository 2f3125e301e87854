// Runs programs side by side until one of them ends or we are told to stop, then ends all of them: first those that
// have work in hand, then those they need. Told to stop a second time, it ends everything at once.

import { join } from 'node:path'
import type { Program } from './config.ts'
import { type RunningProgram, startProgram, untilReady } from './program.ts'
import { Stop } from './progress.mjs'

const END_DEADLINE_MS = 15_000
const SLOW_MS = 15_000

/** The first Ctrl-C asks to stop, the second to stop now. */
export type StopSignals = { stop: AbortSignal; now: AbortSignal }

export type TogetherOptions = {
  root: string
  programs: readonly (Omit<Program, 'name'> & { name: string })[]
  env: NodeJS.ProcessEnv
  signals: StopSignals
  /** A line that a program wrote. */
  print: (name: string, line: string) => void
  /** A line of our own. */
  say: (line: string) => void
  /** Every program answers; where to look. */
  whenReady: () => void
  /** Settles with a sentence when something else that the programs need has ended. */
  lost: Promise<string>
}

/** Returns after an asked-for end; throws Stop when a program, or what it needs, ended by itself. */
export async function runTogether(options: TogetherOptions): Promise<void> {
  const { root, signals, say } = options
  const programs = options.programs.map(({ file, env, ...program }) =>
    startProgram({
      ...program,
      file: join(root, file),
      cwd: root,
      env: { ...options.env, ...env },
      print: options.print,
    }),
  )
  const cut = Promise.race([aborted(signals.stop), options.lost, ...programs.map(({ ended }) => ended)])
  try {
    const ready = allReady(programs, signals.stop, say)
    if ((await Promise.race([ready, cut])) === READY) options.whenReady()
    const trouble = await cut
    if (trouble !== STOPPED) throw new Stop(trouble)
    say('Stopping … (Ctrl-C again: at once)')
  } finally {
    await endAll(programs, signals.now, say)
  }
}

const READY = Symbol('ready')
const STOPPED = ''

async function allReady(programs: RunningProgram[], signal: AbortSignal, say: (line: string) => void) {
  await Promise.all(
    programs.map((program) =>
      untilReady(program, {
        signal,
        slowMs: SLOW_MS,
        slow: (answer) => say(`${program.name} runs but is not ready yet (${answer})`),
      }),
    ),
  )
  return READY
}

async function endAll(
  programs: RunningProgram[],
  now: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  await endThose(
    programs.filter(({ endsLast }) => !endsLast),
    now,
    say,
  )
  await endThose(
    programs.filter(({ endsLast }) => endsLast),
    now,
    say,
  )
}

async function endThose(
  programs: RunningProgram[],
  now: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const left = new Set(programs)
  const kill = (why: string) => {
    for (const program of left) {
      say(`${program.name}: killed (${why})`)
      program.kill('SIGKILL')
    }
  }
  const killNow = () => kill('asked twice')
  for (const program of programs) program.kill('SIGTERM')
  const timer = setTimeout(kill, END_DEADLINE_MS, `not done after ${END_DEADLINE_MS / 1000} s`)
  if (now.aborted) killNow()
  now.addEventListener('abort', killNow)
  await Promise.all(programs.map((program) => program.ended.then(() => left.delete(program))))
  now.removeEventListener('abort', killNow)
  clearTimeout(timer)
}

function aborted(signal: AbortSignal): Promise<typeof STOPPED> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(STOPPED)
    signal.addEventListener('abort', () => resolve(STOPPED))
  })
}
