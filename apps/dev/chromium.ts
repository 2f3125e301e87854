// Finds a Chromium for the browser tests, or brings Debian's own when we are root; the tests go on without one.

import { existsSync } from 'node:fs'
import { lastLines, run, which } from './command.mjs'
import { during } from './progress.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const MAC = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
/** What stands behind these is the name of a test, not a file. */
const NAMES_FOLLOW = new Set(['-t', '--testNamePattern'])

export type Browser = { path: string } | { missing: string }

/** Whether vitest, given these arguments, may come to a browser test: unless it is told files that are none. */
export function browserNeeded(args: readonly string[]): boolean {
  const filters = args.filter(
    (arg, index) => !arg.startsWith('-') && !NAMES_FOLLOW.has(args[index - 1] ?? ''),
  )
  return filters.length === 0 || filters.some((filter) => filter.includes('browser'))
}

export async function findChromium(env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<Browser> {
  const wanted = env.CHROMIUM_PATH
  if (wanted)
    return existsSync(wanted) ? { path: wanted } : { missing: `CHROMIUM_PATH: no such file (${wanted})` }
  const found = which(NAMES, env) ?? (existsSync(MAC) ? MAC : undefined)
  if (found !== undefined) return { path: found }
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    return { missing: 'no chromium on the PATH: install chromium or set CHROMIUM_PATH' }
  }
  return await during('Installing chromium with apt-get (once)', () => install(env, signal))
}

async function install(env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<Browser> {
  const quiet = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, signal }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'chromium']]) {
    const { code, output } = await run('/usr/bin/apt-get', args, quiet)
    if (code !== 0) return { missing: `apt-get could not install chromium:\n${lastLines(output)}` }
  }
  const path = which(NAMES, env)
  return path === undefined ? { missing: 'chromium was installed but is not on the PATH' } : { path }
}
