// Keeps node_modules at what package-lock.json says: one `npm ci` when it is missing or the lock file changed, nothing
// when it matches. The lock file's hash of the last look is kept under `.local`.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.mjs'
import { npm, npmSays } from './npm.mjs'
import { during, Stop } from './progress.mjs'

/** @param {string} root */
export function dependenciesReady(root) {
  const lock = readFileSync(join(root, 'package-lock.json'))
  const hash = createHash('sha256').update(lock).digest('hex')
  const installed = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installed)) return false
  if (hash === recorded(root)) return true
  if (!installedMatches(JSON.parse(String(lock)), JSON.parse(readFileSync(installed, 'utf8')))) return false
  record(root, hash)
  return true
}

/**
 * Whether what npm installed (by our hand or another's) is what the lock file asks for. Optional and peer packages may
 * be missing: they belong to other platforms, or .npmrc leaves them out.
 * @param {Lock} lock
 * @param {Lock} installed npm's own note of node_modules
 * @typedef {{ packages: Record<string, { version?: string, optional?: boolean, peer?: boolean, devOptional?: boolean }> }} Lock
 */
export function installedMatches(lock, installed) {
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (path === '') return true
    const found = installed.packages[path]
    if (found === undefined) return wanted.optional || wanted.peer || wanted.devOptional
    return found.version === wanted.version
  })
}

/** @param {{ root: string, node: string, env: NodeJS.ProcessEnv, signal?: AbortSignal }} where node: the Node for npm */
export async function installDependencies({ root, node, env, signal }) {
  const { command, args } = npm(node, env)
  // Dev dependencies even with NODE_ENV=production: `npm start` itself is made of them.
  const install = [...args, 'ci', '--include=dev', '--loglevel=error']
  await during('Installing the locked dependencies with npm ci', async () => {
    const { code, output } = await run(command, install, { cwd: root, env, signal })
    if (code === 0) return
    const what = 'npm ci failed: look at its last lines, mend that, and run the same command again.'
    throw new Stop(`${what}\n${npmSays(output)}`)
  })
  if (!dependenciesReady(root))
    throw new Stop('npm ci ended well, but node_modules is not what package-lock.json says.')
}

/** @param {string} root */
function recorded(root) {
  const file = recordFile(root)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/**
 * @param {string} root
 * @param {string} hash
 */
function record(root, hash) {
  mkdirSync(join(root, '.local'), { recursive: true })
  writeFileSync(recordFile(root), hash)
}

/** @param {string} root */
function recordFile(root) {
  return join(root, '.local', 'installed.sha256')
}
