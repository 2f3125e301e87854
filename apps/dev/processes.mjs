// Whether processes and groups still run. In a container whose first process reaps nobody, or late, an ended orphan
// keeps its number (state Z): it counts as gone here.

import { readdirSync, readFileSync } from 'node:fs'

/** proc_pid_stat(5): the 22nd field, in clock ticks since the machine booted; counted here from the third. */
const STARTED = 22 - 3

/**
 * Whether a process with this number runs, whoever's it is.
 * @param {number} pid
 */
export function alive(pid) {
  return pid > 0 && exists(pid) && statOf(pid)?.state !== 'Z'
}

/**
 * Names one life of a process: its number is given out again, and soon where a container starts the same programs each
 * time. Where nobody tells when a process started, the number alone.
 * @param {number} pid
 */
export function lifeOf(pid) {
  return `${pid} ${statOf(pid)?.started ?? ''}`.trim()
}

/**
 * Whether that process still runs, and not another with its number.
 * @param {string} life as lifeOf names it
 */
export function lives(life) {
  const pid = Number.parseInt(life, 10)
  return alive(pid) && lifeOf(pid) === life
}

/**
 * Whether anybody is left in the group that this process leads or led.
 * @param {number} leader
 */
export function groupAlive(leader) {
  if (!exists(-leader)) return false
  const pids = processes()
  if (pids.length === 0) return true
  return pids.some((pid) => {
    const stat = statOf(pid)
    return stat?.group === leader && stat.state !== 'Z'
  })
}

/** @param {number} target a process, or a group by its negative number */
function exists(target) {
  try {
    return process.kill(target, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Every process, where there is a /proc. */
function processes() {
  try {
    return readdirSync('/proc').map(Number).filter(Boolean)
  } catch {
    return []
  }
}

/**
 * What Linux tells about a process; undefined elsewhere.
 * @param {number | string} pid
 */
export function statOf(pid) {
  try {
    const found = /\((.*)\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    if (found === null) return undefined
    const [, name = '', rest = ''] = found
    const fields = rest.split(' ')
    const [state = '', parent, group] = fields
    return { name, state, parent: Number(parent), group: Number(group), started: fields[STARTED] }
  } catch {
    return undefined
  }
}
