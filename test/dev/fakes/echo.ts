// A program for the launcher's tests: says what it was given, then ends as its first argument orders.

import { spawn } from 'node:child_process'

const [order, ...rest] = process.argv.slice(2)
process.on('SIGINT', () => console.log('got SIGINT'))
process.on('SIGTERM', () => {
  console.log('got SIGTERM')
  process.exit(0)
})
if (order === 'leave') {
  const child = spawn('/bin/sleep', ['600'], { stdio: 'ignore' })
  child.unref()
  console.log(`left ${child.pid}`)
}
console.log(`pid ${process.pid} node ${process.version} args ${rest.join(',')} path ${process.env.PATH}`)
if (order === 'stay') setInterval(() => {}, 1000)
if (order === 'die') process.kill(process.pid, 'SIGKILL')
if (order === 'exit') process.exitCode = Number(rest[0])
