import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '#sandbox/config.ts'
import { FROM, openSocket, order, phone, postJson, startSandbox } from './clients.ts'

const MAIN = fileURLToPath(import.meta.resolve('#sandbox/main.ts'))

function start(env: Record<string, string>) {
  const program = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void program.kill('SIGKILL'))
  return { program, stdout: text(program.stdout), stderr: text(program.stderr) }
}

async function firstLine({ stdout }: ChildProcess) {
  if (!stdout) throw new Error('the program has no output')
  const [chunk] = await once(stdout, 'data')
  return JSON.parse(String(chunk).trim())
}

const exitCode = async (program: ChildProcess) => (await once(program, 'exit'))[0]

describe('the program', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'says where it listens and nothing more, and ends on %s',
    async (signal) => {
      const { program, stdout, stderr } = start({ SANDBOX_PORT: '0' })
      const line = await firstLine(program)
      expect(line).toEqual({
        level: 30,
        time: expect.any(Number),
        program: 'sandbox',
        port: expect.any(Number),
        msg: 'sandbox listening',
      })

      const socket = await openSocket(line.port)
      await socket.authenticate(['otp'])
      await socket.ask('messaging.send', order('0101'))
      socket.tell('messaging.send', order('0106'))
      await postJson(`http://127.0.0.1:${line.port}/api/messaging/messages`, {
        to: phone('0100'),
        from: FROM,
        body: 'x',
      })
      program.kill(signal)
      expect(await exitCode(program)).toBe(0)
      await socket.closed
      expect((await stdout).trim().split('\n')).toHaveLength(1)
      expect(await stderr).toBe('')
    },
  )

  it('refuses to start in production', async () => {
    const { program, stderr } = start({ NODE_ENV: 'production', SANDBOX_PORT: '0' })
    expect(await exitCode(program)).toBe(1)
    expect(await stderr).toMatch(/^The sandbox .* does not start with NODE_ENV=production\.\n$/)
  })

  it('says which port is taken and what to set', async () => {
    const { port } = await startSandbox()
    const { program, stderr } = start({ SANDBOX_PORT: String(port) })
    expect(await exitCode(program)).toBe(1)
    expect(await stderr).toBe(
      `Port ${port} is taken: stop what listens there, or set SANDBOX_PORT to another port.\n`,
    )
  })

  it('says all that is wrong with its environment, and no value of it', async () => {
    const { program, stderr } = start({ SANDBOX_PORT: 'secret', SANDBOX_LATENCY_MS: '-7' })
    expect(await exitCode(program)).toBe(1)
    const said = await stderr
    expect(said).toMatch(/SANDBOX_PORT must .*SANDBOX_LATENCY_MS must /)
    expect(said).not.toMatch(/secret|-7/)
  })
})

describe('the environment', () => {
  const defaults = { host: '127.0.0.1', port: 3001, latencyMs: 0, signingKey: 'sandbox', inboundUrl: '' }

  it.each([
    { env: {}, config: defaults },
    { env: { SANDBOX_PORT: '', SANDBOX_HOST: ' ' }, config: defaults },
    { env: { SANDBOX_PORT: '65535' }, config: { ...defaults, port: 65_535 } },
    { env: { SANDBOX_LATENCY_MS: '60000' }, config: { ...defaults, latencyMs: 60_000 } },
    { env: { SANDBOX_HOST: '0.0.0.0' }, config: { ...defaults, host: '0.0.0.0' } },
    { env: { SANDBOX_HOST: '::' }, config: { ...defaults, host: '::' } },
    { env: { SANDBOX_SIGNING_KEY: 'key' }, config: { ...defaults, signingKey: 'key' } },
    {
      env: { SANDBOX_INBOUND_URL: 'http://127.0.0.1:3000/x' },
      config: { ...defaults, inboundUrl: 'http://127.0.0.1:3000/x' },
    },
  ])('$env is understood', ({ env, config }) => {
    expect(readConfig(env)).toEqual({ config })
  })

  it.each([
    { name: 'SANDBOX_PORT', value: '65536' },
    { name: 'SANDBOX_PORT', value: '1e3' },
    { name: 'SANDBOX_LATENCY_MS', value: '60001' },
    { name: 'SANDBOX_LATENCY_MS', value: '1.5' },
    { name: 'SANDBOX_HOST', value: 'http://localhost' },
    { name: 'SANDBOX_HOST', value: 'localhost:3001' },
    { name: 'SANDBOX_INBOUND_URL', value: 'https://example.com/' },
  ])('$name=$value is refused by name', ({ name, value }) => {
    expect(readConfig({ [name]: value })).toEqual({ problems: [expect.stringMatching(`^${name} must`)] })
  })
})
