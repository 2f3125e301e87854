// The door every npm script goes through: `node apps/dev/run.mjs FILE [args]`. With nothing installed but some Node and
// npm it brings Node 24 and the locked dependencies, then runs FILE and ends as FILE ends.

import { delimiter, dirname, join, resolve } from 'node:path'
import { dependenciesReady, installDependencies } from './dependencies.mjs'
import { runInGroup } from './group.mjs'
import { withLock } from './lock.mjs'
import { bringNode, nodeAtHand } from './node.mjs'
import { Stop } from './progress.mjs'

const ROOT = resolve(dirname(process.argv[1] ?? '.'), '..', '..')
/** @type {Record<string, number>} */
const SIGNAL_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }

const MACHINE = {
  root: ROOT,
  version: process.version,
  execPath: process.execPath,
  platform: process.platform,
  arch: process.arch,
}

/** @param {string[]} argv */
async function main([file, ...args]) {
  if (file === undefined) throw new Stop('Usage: node apps/dev/run.mjs FILE [args]')
  const node = await ready()
  const path = [dirname(node), join(ROOT, 'node_modules', '.bin'), process.env.PATH]
    .filter(Boolean)
    .join(delimiter)
  const env = { ...process.env, PATH: path }
  end(await runInGroup(node, [resolve(ROOT, file), ...args], { cwd: ROOT, env }))
}

/** Node 24 and the dependencies, brought if need be; two launchers in one fresh clone do it one after the other. */
async function ready() {
  const node = nodeAtHand(MACHINE)
  if (node !== undefined && dependenciesReady(ROOT)) return node
  return await interruptible((signal) =>
    withLock(join(ROOT, '.local', 'install.lock'), () => install(signal), { signal, onWait: sayWaiting }),
  )
}

/** @param {AbortSignal} signal */
async function install(signal) {
  const env = process.env
  const node = nodeAtHand(MACHINE) ?? (await bringNode({ ...MACHINE, env, signal }))
  const path = [dirname(node), env.PATH].filter(Boolean).join(delimiter)
  if (!dependenciesReady(ROOT))
    await installDependencies({ root: ROOT, node, env: { ...env, PATH: path }, signal })
  return node
}

/** @param {number} holder */
function sayWaiting(holder) {
  process.stderr.write(`› Waiting for process ${holder}, which is installing the same …\n`)
}

/**
 * Until FILE runs, a signal ends the installing commands and us.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} work
 */
async function interruptible(work) {
  const abort = new AbortController()
  let code = 1
  /** @param {NodeJS.Signals} signal */
  const stop = (signal) => {
    code = SIGNAL_CODES[signal] ?? 1
    abort.abort()
  }
  for (const signal of Object.keys(SIGNAL_CODES)) process.on(signal, stop)
  try {
    return await work(abort.signal)
  } catch (error) {
    if (abort.signal.aborted) process.exit(code)
    throw error
  } finally {
    for (const signal of Object.keys(SIGNAL_CODES)) process.off(signal, stop)
  }
}

/** @param {{ code: number | null, signal: NodeJS.Signals | null }} ending */
function end({ code, signal }) {
  if (signal !== null) process.kill(process.pid, signal)
  process.exitCode = code ?? 1
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Stop)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
