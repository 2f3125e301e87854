/** The provider inside a program of its own: what it prints, what it survives, and that it lets the program end. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { obliging, REFUSED_CREDENTIALS, type ScriptedRelay } from '#test/fixtures/scripted-relay.ts'
import { MESSAGE } from './relay-message.ts'
import { eventually, openRelay } from './relay-provider.ts'

function startProgram(relay: ScriptedRelay, receipts: 'print' | 'throw' = 'print') {
  const path = fileURLToPath(new URL('./relay-program.ts', import.meta.url))
  const child = spawn(process.execPath, [path, relay.url, receipts], { stdio: 'pipe' })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const exited = once(child, 'exit')
  const count = (line: string) => output.split('\n').filter((printed) => printed === line).length
  return {
    output: () => output,
    exited: () => exited,
    order: (line: 'send' | 'close') => child.stdin.write(`${line}\n`),
    says: (line: string, times = 1) =>
      eventually(
        () => count(line) >= times,
        () => `"${line}" in\n${output}`,
      ),
  }
}

test('whatever goes wrong, nothing of a message, its number or the token is printed, and the program lives', async () => {
  const relay = await openRelay()
  const program = startProgram(relay)
  await program.says('status ready')

  const quoting = {
    message: `cannot send "${MESSAGE.body}" to ${MESSAGE.to}`,
    errors: { body: [MESSAGE.body] },
  }
  relay.script.onSend = ({ reply }) => reply({ code: '400', ...quoting })
  program.order('send')
  await program.says('outcome rejected refused_by_provider')
  relay.script.onSend = ({ fail }) => fail({ code: -32603, message: quoting.message })
  program.order('send')
  await program.says('outcome unknown provider_fault')
  relay.tell({ message_id: 'm', message_state: 'failed', body: MESSAGE.body, reason: quoting.message })
  await program.says('receipt failed cannot send "Acme: your code is " to +')

  const inbound = { message_id: 'in', from_number: MESSAGE.to, to_number: MESSAGE.from, body: MESSAGE.body }
  const received = {
    event_type: 'messaging.receive',
    context: 'auth',
    params: { context: 'auth', ...inbound },
  }
  relay.push('signalwire.event', received)
  await program.says(`inbound of ${MESSAGE.body.length} characters`)

  relay.script.onSend = ({ cut }) => cut()
  relay.script.onReceive = ({ connection, cut, reply }) => (connection < 4 ? cut() : reply({ code: '200' }))
  program.order('send')
  await program.says('outcome unknown connection_lost')
  await program.says('status ready', 2)

  relay.script.onSend = () => {}
  program.order('send')
  await program.says('outcome unknown timeout')
  await program.says('status ready', 3)

  relay.push('signalwire.disconnect', { restart: true })
  program.order('send')
  await program.says('outcome unknown timeout', 2)
  await program.says('status ready', 4)

  // A frame the SDK itself chokes on: its saga prints a stack, and its message events are over for that client.
  relay.push('signalwire.event', { event_type: 'messaging.state', context: 'auth', params: null })
  relay.script.onConnect = ({ fail }) => fail(REFUSED_CREDENTIALS)
  await relay.down()
  await program.says('status unreachable', 2)
  program.order('send')
  await program.says('outcome busy not_connected')
  await relay.up()
  await program.says('status unauthorized')
  program.order('send')
  await program.says('outcome busy credentials_refused')

  program.order('close')
  expect(await program.exited()).toEqual([0, null])
  const code = MESSAGE.body.slice(-6)
  for (const secret of [code, MESSAGE.to.slice(-7), 'PT-secret'])
    expect(program.output()).not.toContain(secret)
  // Every line printed is one of the program's own.
  expect(program.output().replace(/^(status|outcome|receipt|inbound|closed)\b.*\n/gm, '')).toBe('')
})

test('a receipt listener that throws is reported at the edge of the program, and receipts and sends go on', async () => {
  const relay = await openRelay()
  const program = startProgram(relay, 'throw')
  await program.says('status ready')
  for (const times of [1, 2, 3]) {
    relay.tell({ message_id: 'm', message_state: 'sent' })
    await program.says('fault at the edge', times)
  }
  program.order('send')
  await program.says('outcome accepted -')
  program.order('close')
  expect(await program.exited()).toEqual([0, null])
})

test('closed with a send that is never answered, the program ends by itself', async () => {
  const relay = await openRelay({ onSend: () => {} })
  const program = startProgram(relay)
  await program.says('status ready')
  program.order('send')
  await eventually(() => relay.sends().length === 1, 'the send at the relay')
  program.order('close')
  await program.says('outcome unknown connection_lost')
  expect(await program.exited()).toEqual([0, null])
})

test('closed while it is reconnecting, the program ends by itself and does not connect again', async () => {
  const relay = await openRelay()
  const program = startProgram(relay)
  await program.says('status ready')
  await relay.down()
  await program.says('status unreachable')
  program.order('close')
  await program.says('closed')
  await relay.up()
  expect(await program.exited()).toEqual([0, null])
  expect(relay.connects()).toHaveLength(1)
})

test('closed while the connect is not answered, the program ends by itself', async () => {
  const relay = await openRelay({ onConnect: () => {} })
  const program = startProgram(relay)
  await eventually(() => relay.connects().length === 1, 'the connect at the relay')
  program.order('close')
  expect(await program.exited()).toEqual([0, null])
})

test('sends that were awaited before close all have their answers', async () => {
  const relay = await openRelay()
  const program = startProgram(relay)
  await program.says('status ready')
  relay.script.onSend = (request) => setTimeout(() => obliging().onSend(request), 100)
  for (let n = 0; n < 20; n++) program.order('send')
  await program.says('outcome accepted -', 20)
  program.order('close')
  expect(await program.exited()).toEqual([0, null])
})
