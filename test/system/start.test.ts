/** `npm start` itself, with its real programs: where to look, the whole loop, a taken port, Ctrl-C. */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort } from '#dev/ports.ts'
import { watch } from '#test/dev/processes.ts'
import { freshPrefix, testRedisUrl } from '#test/fixtures/redis.ts'

const ROOT = join(import.meta.dirname, '../..')
const running: ReturnType<typeof watch>[] = []

async function start(ports: Record<string, string> = {}) {
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    REDIS_URL: testRedisUrl(),
    REDIS_PREFIX: freshPrefix(),
    PORT: String(await freePort()),
    SANDBOX_PORT: String(await freePort()),
    WORKER_PORT: String(await freePort()),
    ...ports,
  }
  const program = watch(process.execPath, ['apps/dev/run.mjs', 'apps/dev/main.ts'], { cwd: ROOT, env })
  running.push(program)
  return { ...program, page: `http://localhost:${env.PORT}`, inbox: `http://localhost:${env.SANDBOX_PORT}` }
}

afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGTERM')
    await ended
  }
})

async function post(url: string, fields: Record<string, string>): Promise<string> {
  return (await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })).text()
}

describe('npm start', () => {
  it('says where to look, brings a code to the inbox, and ends all of it when told to', {
    timeout: 30_000,
  }, async () => {
    const started = await start()
    await started.says('Ctrl-C')
    expect(started.output()).toContain(started.page)
    expect(started.output()).toContain(started.inbox)
    const number = '+12025550100'
    expect(await post(`${started.page}/request-auth`, { number })).toBe('Your code was sent')
    const inbox = `${started.inbox}/api/messages?to=${encodeURIComponent(number)}`
    const codeInInbox = async () => /"body":"(\d{6})/.exec(await (await fetch(inbox)).text())?.[1]
    await expect.poll(codeInInbox, { timeout: 5_000 }).toBeDefined()
    const code = (await codeInInbox()) ?? ''
    expect(await post(`${started.page}/validate-auth`, { number, auth_code: code })).toBe('Success!')
    started.child.kill('SIGTERM')
    expect((await started.ended).code).toBe(0)
    for (const url of [started.page, started.inbox]) await expect(fetch(url)).rejects.toThrow()
    expect(started.output()).not.toContain(code)
  })

  it.each(['PORT', 'SANDBOX_PORT', 'WORKER_PORT'])(
    'with %s taken says which port and which variable',
    async (name) => {
      const holder = createServer()
      const port = await freePort()
      await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve))
      const started = await start({ [name]: String(port) })
      expect((await started.ended).code).toBe(1)
      expect(started.output()).toContain(String(port))
      expect(started.output()).toContain(name)
      expect(started.output()).not.toMatch(/\bat .*\.ts:\d+/)
      holder.close()
    },
  )
})
