/**
 * Starts the sandbox from the environment and ends it on a signal. Prints one line at the start and nothing of what
 * passes through; in production it refuses to run.
 */
import { readConfig } from './config.ts'
import { createSandbox } from './sandbox.ts'

function refuse(sentence: string): never {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}

function log(level: 30 | 50, fields: object): void {
  process.stdout.write(`${JSON.stringify({ level, time: Date.now(), program: 'sandbox', ...fields })}\n`)
}

if (process.env.NODE_ENV === 'production') {
  refuse(
    'The sandbox stands in for SignalWire and shows every code, so it does not start with NODE_ENV=production.',
  )
}

const read = readConfig(process.env)
if ('problems' in read) refuse(`The sandbox cannot start: ${read.problems.join('; ')}.`)
const { port, ...options } = read.config

const sandbox = createSandbox({
  ...options,
  onFault: (error) => log(50, { msg: 'sandbox fault', error: error.name, stack: callsOf(error) }),
})

try {
  log(30, { port: await sandbox.listen(port), msg: 'sandbox listening' })
} catch (error) {
  refuse(whyNot(error))
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, async () => {
    process.once(signal, () => process.exit(1))
    await sandbox.close()
    process.exit(0)
  })
}

/** Where it broke, without the message: that may quote what passed through. */
function callsOf(error: Error): string[] {
  const lines = error.stack?.split('\n') ?? []
  return lines.map((line) => line.trim()).filter((line) => line.startsWith('at '))
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') {
    return `Port ${port} is taken: stop what listens there, or set SANDBOX_PORT to another port.`
  }
  if (code === 'EACCES') return `Port ${port} is not ours to open: set SANDBOX_PORT to a port above 1023.`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return 'SANDBOX_HOST is no address of this machine: set it to 127.0.0.1 or 0.0.0.0.'
  }
  return `The sandbox cannot listen on port ${port} (${code ?? 'unknown reason'}).`
}
