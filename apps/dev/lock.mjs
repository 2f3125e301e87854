// One holder at a time, across processes: a lock is a file that names one life of its holder. A holder that died leaves
// its file behind and the next one takes it over, so nobody ever has to delete anything by hand.

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { lifeOf, lives } from './processes.mjs'

const POLL_MS = 100
const GONE = ''

/**
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {{ signal?: AbortSignal | undefined, onWait?: (holder: number) => void }} [options]
 * @returns {Promise<T>}
 */
export async function withLock(file, work, { signal, onWait } = {}) {
  mkdirSync(dirname(file), { recursive: true })
  let told = false
  for (let holder = take(file); holder !== undefined; holder = take(file)) {
    if (holder === GONE) continue
    if (!lives(holder)) {
      removeOf(file, holder)
      continue
    }
    if (!told) onWait?.(Number.parseInt(holder, 10))
    told = true
    await wait(POLL_MS, undefined, signal ? { signal } : {})
  }
  try {
    return await work()
  } finally {
    rmSync(file, { force: true })
  }
}

/**
 * Takes the lock and returns undefined, or returns its holder. The file appears whole: written aside, then linked.
 * @param {string} file
 */
function take(file) {
  const own = `${file}.${process.pid}`
  writeFileSync(own, lifeOf(process.pid))
  try {
    linkSync(own, file)
    return undefined
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    return holderOf(file)
  } finally {
    rmSync(own, { force: true })
  }
}

/** @param {string} file */
function holderOf(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return GONE
  }
}

/**
 * Removes a dead holder's file. Two may try at once, so the file is moved aside first and looked at again: a lock that
 * somebody took in between goes back.
 * @param {string} file
 * @param {string} holder
 */
function removeOf(file, holder) {
  const aside = `${file}.${process.pid}.stale`
  try {
    renameSync(file, aside)
    if (holderOf(aside) !== holder) linkSync(aside, file)
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'EEXIST')) throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

/**
 * @param {unknown} error
 * @param {string} code
 */
function hasCode(error, code) {
  return error instanceof Error && 'code' in error && error.code === code
}
