// Runs one program as the head of a process group of its own, so that three things hold: Ctrl-C reaches it once and
// through us only, whatever it started ends with it, and it ends when we do, however we do.

import { spawn } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { endWithMe } from './guard.mjs'
import { groupAlive, statOf } from './processes.mjs'

const GROUPS = process.platform !== 'win32'
/** On a terminal one Ctrl-C arrives twice: from the terminal, and from npm, which passes on its own copy. */
const SAME_SIGNAL_MS = 250
const SWEEP_DEADLINE_MS = 20_000
const SWEEP_POLL_MS = 50
const PARENT_POLL_MS = 200

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv }} options
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null }>}
 */
export function runInGroup(command, args, { cwd, env }) {
  const child = spawn(command, args, { cwd, env, stdio: 'inherit', detached: GROUPS })
  const pid = child.pid
  if (pid === undefined) return new Promise((_, reject) => child.once('error', reject))
  const release = endWithMe(pid, { group: GROUPS })
  const quiet = passSignalsOn(
    (signal) => child.kill(signal),
    () => signalGroup(pid, 'SIGKILL'),
  )
  return new Promise((resolve) => {
    child.once('exit', async (code, signal) => {
      await sweep(pid)
      await release()
      quiet()
      resolve({ code, signal })
    })
  })
}

/**
 * Passes each signal on once. A closed terminal (SIGHUP) and a dead npm ask for the same orderly end as SIGTERM. A
 * third Ctrl-C no longer asks.
 * @param {(signal: NodeJS.Signals) => void} pass
 * @param {() => void} kill
 * @returns {() => void} stop listening
 */
function passSignalsOn(pass, kill) {
  /** @type {Map<string, number>} */
  const lastMs = new Map()
  let interrupts = 0
  /** @param {NodeJS.Signals} signal */
  const receive = (signal) => {
    const nowMs = Date.now()
    const again = nowMs - (lastMs.get(signal) ?? Number.NEGATIVE_INFINITY) < SAME_SIGNAL_MS
    lastMs.set(signal, nowMs)
    if (again) return
    if (signal === 'SIGINT') interrupts += 1
    if (interrupts > 2) kill()
    else pass(signal === 'SIGHUP' ? 'SIGTERM' : signal)
  }
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, receive)
  const quiet = watchNpm(() => {
    if (lastMs.size === 0) receive('SIGTERM')
  })
  return () => {
    for (const signal of signals) process.off(signal, receive)
    quiet()
  }
}

/**
 * npm killed outright tells nobody, and ended by SIGTERM it takes only its shell along; we see our ancestors change.
 * Only under npm: started by hand and put in the background, a launcher outlives its shell on purpose.
 * @param {() => void} orphaned
 * @returns {() => void} stop watching
 */
function watchNpm(orphaned) {
  if (!process.env.npm_lifecycle_event) return () => {}
  const before = ancestors()
  const timer = setInterval(() => {
    if (ancestors() === before) return
    clearInterval(timer)
    orphaned()
  }, PARENT_POLL_MS)
  return () => clearInterval(timer)
}

/** Our parent; when that is the shell npm runs scripts in, npm too (which only Linux tells cheaply). */
function ancestors() {
  const stat = statOf(process.ppid)
  return stat?.name.endsWith('sh') ? `${process.ppid} ${stat.parent}` : `${process.ppid}`
}

/**
 * Ends what the program left behind in its group.
 * @param {number} pid
 */
async function sweep(pid) {
  if (!GROUPS || !groupAlive(pid)) return
  signalGroup(pid, 'SIGTERM')
  const deadline = Date.now() + SWEEP_DEADLINE_MS
  while (groupAlive(pid)) {
    if (Date.now() > deadline) return signalGroup(pid, 'SIGKILL')
    await wait(SWEEP_POLL_MS)
  }
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal)
  } catch {
    // Nobody is left, which is what a signal was to bring about.
  }
}
