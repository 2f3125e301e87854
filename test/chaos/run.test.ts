/** The chaos run as it is started: a few seconds of it, from a seed, end well and say what happened. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

function chaos(...args: string[]) {
  const child = spawn(process.execPath, ['test/chaos/main.ts', ...args], { cwd: ROOT })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return Promise.all([ended, text(child.stdout), text(child.stderr)])
}

it('a few seconds of it print the plan, what happened and that no promise was broken', {
  timeout: 200_000,
}, async () => {
  const [code, report, progress] = await chaos('--minutes', '0.2', '--seed', '35')
  expect(report).toMatch(/^promises\n {2}broken +0$/m)
  expect(report).toMatch(/^seed 35, 0\.2 minutes, plan [0-9a-f]{12}$/m)
  expect(progress).toContain('seed 35: 95 people, 4 faults, PROVIDERS=relay,rest')
  for (const what of ['SMS over the websocket', 'SMS over REST', 'heeded', 'verification.approved'])
    expect(report).toMatch(new RegExp(`^ {2}${what} +[1-9]`, 'm'))
  expect(code).toBe(0)
})

it.each([
  ['--minutes', '0'],
  ['--minutes', '10'],
  ['--seed', 'x'],
])('%s %s is refused with a sentence', async (...args) => {
  const [code, , said] = await chaos(...args)
  expect([code, said]).toEqual([1, expect.stringContaining('--minutes')])
})
