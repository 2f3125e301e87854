// `npm run chaos -- --minutes 5 [--seed N]`: plays a plan of traffic and faults drawn from the seed, then asks for every
// promise. Ends with 1 when one was broken. `--faults` plays each fault alone instead, at its full length.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createFaults } from './faults.ts'
import { leftInLogs, leftInRedis, leftRunning } from './leftovers.ts'
import { createPeople } from './people.ts'
import { drawPlan, type Fault, type Plan } from './plan.ts'
import { brokenPromises } from './promises.ts'
import { reportOf } from './report.ts'
import { createWorld } from './world.ts'

const ROOT = join(import.meta.dirname, '../..')
const RECOVERY_MS = 60_000

async function play(plan: Plan): Promise<{ report: string; broken: string[] }> {
  const broken: string[] = []
  const tell = (what: string) => void broken.push(what)
  const world = await createWorld(`chaos-${process.pid}`, { setup: plan.setup, broken: tell })
  const healed = new AbortController()
  try {
    await world.start()
    await world.expectReady(RECOVERY_MS)
    const people = createPeople(world, { broken: tell, healed: healed.signal })
    const strike = createFaults(world, people.history.known)
    const struck: Fault[] = []
    const begunAt = performance.now()
    const at = (atMs: number) => wait(Math.max(0, begunAt + atMs - performance.now()))
    const lives = plan.people.map((person) => at(person.atMs).then(() => people.live(person)))
    const faults = plan.faults.map(async (fault) => {
      await at(fault.atMs)
      struck.push(fault)
      say(begunAt, `${fault.place}: ${fault.kind} (${fault.lastsMs} ms)`)
      await strike(fault)
    })
    await Promise.all([...faults, at(plan.forMs)])
    say(begunAt, 'no more faults')
    await world.expectReady(RECOVERY_MS)
    people.history.healedAtMs = Date.now()
    healed.abort()
    await Promise.all(lives)
    await people.gather()
    await people.listen()
    say(begunAt, 'everything has come to rest')
    broken.push(...brokenPromises(people.history))
    broken.push(...(await leftInRedis(world, plan)))
    broken.push(...(await leftRunning(world)), ...leftInLogs(world, plan))
    return { report: reportOf(plan, people.history, struck, broken), broken }
  } finally {
    await world.close()
  }
}

function say(begunAt: number, what: string): void {
  const seconds = ((performance.now() - begunAt) / 1_000).toFixed(1)
  console.error(`${seconds.padStart(6)} s  ${what}`)
}

/** Each fault alone, as a test, at its full length. */
function playFaults(): Promise<number> {
  const env = { ...process.env, FAULTS_AT_FULL_LENGTH: 'on' }
  const child = spawn(process.execPath, ['test/run.ts', 'test/system'], { cwd: ROOT, env, stdio: 'inherit' })
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    faults: { type: 'boolean', default: false },
  },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (!(minutes > 0 && minutes <= 9) || !Number.isInteger(seed) || seed < 0) {
  console.error(
    'npm run chaos -- --minutes M --seed N: more than 0 and at most 9 minutes, a whole number as the seed',
  )
  process.exitCode = 1
} else if (values.faults) {
  process.exitCode = await playFaults()
} else {
  const plan = drawPlan(seed, minutes * 60_000)
  console.error(
    `seed ${seed}: ${plan.people.length} people, ${plan.faults.length} faults, PROVIDERS=${plan.setup.providers}, plan ${plan.print}`,
  )
  const { report, broken } = await play(plan)
  console.log(report)
  process.exitCode = broken.length > 0 ? 1 : 0
}
