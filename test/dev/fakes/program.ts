// A program that `npm start` could run, with faults on order: it answers /readyz on FAKE_PORT and writes down every
// signal it gets. FAKE_FAULT=deaf ignores SIGTERM, =crash ends by itself once it is ready to.

import { createServer } from 'node:http'

const { FAKE_NAME: name, FAKE_PORT: port, FAKE_FAULT: fault } = process.env

function tell(msg: string): void {
  process.stdout.write(
    `${JSON.stringify({ level: 30, time: Date.now(), program: name, pid: process.pid, msg })}\n`,
  )
}

process.on('SIGINT', () => tell(`${name} got SIGINT`))
process.on('SIGTERM', () => {
  tell(`${name} got SIGTERM`)
  if (fault !== 'deaf') process.exit(0)
})
createServer((_, answer) => answer.end('ok')).listen(Number(port), '127.0.0.1', () => {
  tell(`pid ${process.pid}`)
  if (fault !== 'crash') return
  process.stderr.write('out of paper\n')
  process.exitCode = 3
  process.exit()
})
