/**
 * A small program around the provider, started as a process of its own by signalwire-relay-process.test.ts: `send` and
 * `close` are lines on its stdin, and on its stdout it says what came of them. It prints nothing of a message, and ends
 * only when nothing is left to do.
 */
import { createInterface } from 'node:readline'
import { createSignalWireRelay } from '#providers/signalwire-relay.ts'
import { MESSAGE } from './relay-message.ts'

const [host = '', receipts = 'print'] = process.argv.slice(2)
const say = (line: string) => process.stdout.write(`${line}\n`)

if (receipts === 'throw') process.on('uncaughtException', () => say('fault at the edge'))

const provider = createSignalWireRelay({
  project: 'project',
  token: 'PT-secret',
  host,
  sendTimeoutMs: 500,
  backoff: { minMs: 20, maxMs: 100 },
  onStatus: (status) => say(`status ${status}`),
  onReceipt(receipt) {
    if (receipts === 'throw') throw new Error('a receipt listener that throws')
    say(`receipt ${receipt.state} ${receipt.reason ?? '-'}`)
  },
  onInbound: ({ text }) => say(`inbound of ${text.length} characters`),
})

const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  if (line === 'send') {
    const outcome = await provider.send(MESSAGE, new AbortController().signal)
    say(`outcome ${outcome.kind} ${'reason' in outcome ? outcome.reason : '-'}`)
  }
  if (line === 'close') {
    lines.close()
    process.stdin.destroy()
    await provider.close()
    say('closed')
  }
})
