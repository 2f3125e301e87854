/** What the SDK keeps of each send goes, so that one client lives long: a fresh one is slow for thousands of sends. */
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { momentNow } from '#providers/clock.ts'
import type { Dial, News, Order } from '#providers/signalwire-relay-thread.ts'
import { MESSAGE } from './relay-message.ts'
import { openRelay } from './relay-provider.ts'

/** The SDK itself takes about 10 MB. */
const HEAP_MB = 32
/** At 4 kB each they would need 80 MB. */
const SENDS = 10_000
const IN_FLIGHT = 50

test('a client whose thread has 32 MB sends ten thousand messages', async () => {
  const relay = await openRelay()
  const dial: Dial = { project: 'project', token: 'token', host: relay.url, context: 'auth' }
  const thread = new Worker(new URL('../../packages/providers/signalwire-relay-thread.ts', import.meta.url), {
    workerData: dial,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    execArgv: [],
  })
  onTestFinished(async () => void (await thread.terminate()))
  let ordered = 0
  let accepted = 0
  const order = () => {
    if (ordered === SENDS) return
    ordered += 1
    const next: Order = { id: ordered, message: MESSAGE, postedAt: momentNow() }
    thread.postMessage(next)
  }
  await new Promise<void>((resolve, reject) => {
    thread.on('error', reject)
    thread.on('message', (news: News) => {
      if (news.kind === 'ready') for (let n = 0; n < IN_FLIGHT; n++) order()
      if (news.kind !== 'outcome') return
      if (news.outcome.kind === 'accepted') accepted += 1
      if (news.id === SENDS) resolve()
      order()
    })
  })
  expect(accepted).toBeGreaterThan(SENDS - IN_FLIGHT)
})
