// Runs one command to its end and hands back what it wrote. The command never outlives us: an abort ends it, and so
// does our own death.

import { spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { endWithMe } from './guard.mjs'

const OUTPUT_MAX = 64 * 1024

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal | undefined, timeoutMs?: number }} [options]
 * @returns {Promise<{ code: number | null, output: string }>} output: both streams, the last 64 KiB; code is null when
 *   the command could not be started or was ended by a signal
 */
export function run(command, args, { cwd, env, signal, timeoutMs } = {}) {
  return new Promise((resolve, reject) => {
    let output = ''
    const child = spawn(command, args, {
      cwd,
      env: env ?? process.env,
      signal,
      timeout: timeoutMs,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const release = child.pid === undefined ? async () => {} : endWithMe(child.pid)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output = (output + text).slice(-OUTPUT_MAX)
      })
    }
    child.once('error', (error) => {
      if (signal?.aborted) return
      resolve({ code: null, output: `${output}${error.message}` })
    })
    child.once('close', async (code) => {
      await release()
      if (signal?.aborted) reject(signal.reason)
      else resolve({ code, output })
    })
  })
}

/**
 * The full path of the first of these names that PATH has, or undefined.
 * @param {string[]} names
 * @param {NodeJS.ProcessEnv} env
 */
export function which(names, env) {
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const name of names) {
    const found = folders.map((folder) => join(folder, name)).find(executable)
    if (found !== undefined) return found
  }
  return undefined
}

/** @param {string} path */
function executable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/**
 * The last lines of what a program wrote, for an error message.
 * @param {string} output
 * @param {number} [count]
 */
export function lastLines(output, count = 8) {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  return lines
    .slice(-count)
    .map((line) => `    ${line}`)
    .join('\n')
}
