// `npm run check`: everything a change must pass, in the order of what fails fastest, stopping at the first red.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { run } from './command.mjs'
import { during } from './progress.mjs'

const ROOT = join(import.meta.dirname, '..', '..')
const tool = (path: string) => join(ROOT, 'node_modules', path)
const BIOME = tool('@biomejs/biome/bin/biome')

const QUIET_STEPS = [
  { name: 'format', args: [BIOME, 'format', '.'] },
  { name: 'lint', args: [BIOME, 'check', '--formatter-enabled=false', '.'] },
  { name: 'types', args: [tool('typescript/bin/tsc'), '--noEmit'] },
  { name: 'dead code', args: [tool('knip/bin/knip.js')] },
]

async function main(): Promise<number> {
  for (const { name, args } of QUIET_STEPS) {
    const startedMs = Date.now()
    const { code, output } = await during(name, () => run(process.execPath, args, { cwd: ROOT }), {
      done: false,
    })
    if (code !== 0) process.stdout.write(output)
    report(name, code, startedMs)
    if (code !== 0) return 1
  }
  const startedMs = Date.now()
  const code = await tests()
  report('tests', code, startedMs)
  return code
}

/** Told to stop, we tell the tests' own runner once and wait for it. */
function tests(): Promise<number> {
  const child = spawn(process.execPath, [join(ROOT, 'test', 'run.ts')], { cwd: ROOT, stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

function report(name: string, code: number | null, startedMs: number): void {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1)
  process.stdout.write(`${code === 0 ? '✓' : '✗'} ${name} (${seconds} s)\n`)
}

process.exitCode = await main()
