// Which npm is at hand: the one that runs us, else the one on the PATH.

import { lastLines, which } from './command.mjs'
import { Stop } from './progress.mjs'

/**
 * @param {string} node the Node that shall run npm's own code
 * @param {NodeJS.ProcessEnv} env
 * @returns {{ command: string, args: string[] }}
 */
export function npm(node, env) {
  const ours = env.npm_execpath
  if (ours !== undefined && /npm-cli\.c?js$/.test(ours)) return { command: node, args: [ours] }
  const found = which(['npm'], env)
  if (found === undefined)
    throw new Stop('npm is not on the PATH: install Node with npm (https://nodejs.org).')
  return { command: found, args: [] }
}

/**
 * What npm says of a failure, without the stack and the fields of its error objects.
 * @param {string} output
 */
export function npmSays(output) {
  const lines = output.split('\n').filter((line) => !/^npm error(\s{2,}| \}|$)/.test(line))
  return lastLines(lines.join('\n'), 12)
}
