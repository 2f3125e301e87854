// Ends a process when this one is gone, however it went (SIGKILL too): a tiny `sh` waits on a pipe that only this
// process holds open, so the kernel itself tells it. The shell leads a session of its own, out of Ctrl-C's reach.

import { spawn } from 'node:child_process'

// $1 gets SIGTERM; when it is gone already, everything under $2 does. What is left of $2 after 20 s gets SIGKILL.
const SCRIPT = `
read -r _
kill -TERM "$1" || kill -TERM "$2" || exit 0
n=0
while kill -0 "$2" && [ "$n" -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
kill -KILL "$2"
`

/**
 * @param {number} pid
 * @param {{ group?: boolean }} [options] group: the process leads a group, and the whole group goes with it
 * @returns {() => Promise<void>} call it once the process has ended, so that its number is never taken for another's
 */
export function endWithMe(pid, { group = false } = {}) {
  if (process.platform === 'win32') return async () => {}
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'guard', String(pid), String(group ? -pid : pid)], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = new Promise((resolve) => {
    shell.once('error', resolve)
    shell.once('exit', resolve)
  })
  shell.unref()
  shell.stdin.on('error', () => {})
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref()
  return async () => {
    shell.ref()
    shell.kill('SIGKILL')
    await ended
  }
}
