// `npm start` with fake programs in the place of ours and nothing else changed: a process a test can send signals to.
// FAKES is a list of {name, port, endsLast, env}.

import { join } from 'node:path'
import { Stop } from '#dev/progress.mjs'
import { listenForStop } from '#dev/stop-signals.ts'
import { runTogether } from '#dev/together.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const signals = listenForStop()
const programs = JSON.parse(process.env.FAKES ?? '[]')
try {
  await runTogether({
    root,
    programs,
    env: process.env,
    signals,
    print: (name, line) => console.log(`${name} ${line}`),
    say: console.log,
    whenReady: () => console.log('ready'),
    lost: new Promise(() => {}),
  })
} catch (error) {
  if (!(error instanceof Stop)) throw error
  console.error(error.message)
  process.exitCode = 1
}
process.exit(signals.now.aborted ? 130 : process.exitCode)
