import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { findChromium } from '#dev/chromium.ts'
import { lastLines, run } from '#dev/command.mjs'
import { withLock } from '#dev/lock.mjs'
import { freePort, takenPort } from '#dev/ports.ts'
import { createPrinter } from '#dev/pretty.ts'
import { alive, lifeOf } from '#dev/processes.mjs'
import { during } from '#dev/progress.mjs'
import { bringPackage, packagesHere } from '#dev/redis-package.ts'
import { gone } from './processes.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sms-2fa-parts-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('ports', () => {
  test.for(['127.0.0.1', '::'])('one that somebody listens on at %s is taken', async (host) => {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    const port = (server.address() as { port: number }).port
    const free = { port: await freePort() }
    expect(await takenPort([free, { port }])).toEqual({ port })
    server.close()
    await once(server, 'close')
    expect(await takenPort([free, { port }])).toBeUndefined()
  })
})

describe('the install lock', () => {
  test('lets one in at a time, and the file is gone afterwards', async () => {
    const file = join(folder, 'one', 'install.lock')
    const first = Promise.withResolvers<void>()
    const order: string[] = []
    const held = withLock(file, async () => {
      await first.promise
      order.push('first')
    })
    const waiting = Promise.withResolvers<number>()
    const next = withLock(file, async () => order.push('second'), { onWait: waiting.resolve })
    expect(await waiting.promise).toBe(process.pid)
    first.resolve()
    await Promise.all([held, next])
    expect(order).toEqual(['first', 'second'])
    expect(existsSync(file)).toBe(false)
  })

  test('of a process that died is taken over', async () => {
    const file = join(folder, 'stale.lock')
    const { output } = await run('/bin/sh', ['-c', 'echo $$'])
    await gone(Number(output))
    writeFileSync(file, output)
    expect(await withLock(file, async () => readFileSync(file, 'utf8'))).toBe(lifeOf(process.pid))
  })

  test.runIf(existsSync('/proc/self/stat')).for([
    ['ours', process.pid],
    ['another living one', process.ppid],
  ] as const)(
    'of a process that died is taken over when its number is %s by now, as after a restart of a container',
    { timeout: 2_000 },
    async ([, pid]) => {
      const file = join(folder, `again-${pid}.lock`)
      writeFileSync(file, `${pid} 1`)
      expect(await withLock(file, async () => readFileSync(file, 'utf8'))).toBe(lifeOf(process.pid))
    },
  )

  test('a wait for it can be ended', async () => {
    const file = join(folder, 'held.lock')
    writeFileSync(file, lifeOf(process.ppid))
    const abort = new AbortController()
    const waiting = withLock(file, async () => 'in', { signal: abort.signal, onWait: () => abort.abort() })
    await expect(waiting).rejects.toThrow('aborted')
  })

  test.for([
    [process.pid, true],
    [0, false],
    [Number.NaN, false],
    [-1, false],
  ] as const)('process %s is alive: %s', ([pid, is]) => expect(alive(pid)).toBe(is))
})

describe('a command', () => {
  test('gives back its code and both streams', async () => {
    const { code, output } = await run('/bin/sh', ['-c', 'echo out; echo err >&2; exit 3'])
    expect(code).toBe(3)
    expect(output.split('\n').sort()).toEqual(['', 'err', 'out'])
  })

  test('that does not exist is no exception', async () => {
    expect(await run('/nowhere/at-all', [])).toMatchObject({
      code: null,
      output: expect.stringContaining('ENOENT'),
    })
  })

  test('is ended by an abort, and the caller hears of it', async () => {
    const abort = new AbortController()
    const running = run('/bin/sleep', ['600'], { signal: abort.signal })
    abort.abort()
    await expect(running).rejects.toThrow('aborted')
  })

  test('that failed is quoted by its last lines', () => {
    expect(lastLines('a\n\nb\nc\n', 2)).toBe('    b\n    c')
  })
})

describe('progress', () => {
  function clocked() {
    vi.useFakeTimers()
    const written: string[] = []
    const work = Promise.withResolvers<void>()
    return { written, work, write: (text: string) => void written.push(text) }
  }

  test.for([
    ['says nothing of what takes less than a second', false, 999, []],
    [
      'says once what takes longer, and when it is done',
      false,
      3000,
      ['› Bringing …\n', '› Bringing: done in 3 s\n'],
    ],
    [
      'counts the seconds on a terminal',
      true,
      2000,
      ['\r\x1b[2K› Bringing … 1 s', '\r\x1b[2K› Bringing … 2 s', '\r\x1b[2K', '› Bringing: done in 2 s\n'],
    ],
  ] as const)('%s', async ([, isTTY, ms, lines]) => {
    const { written, work, write } = clocked()
    const done = during('Bringing', () => work.promise, { out: { isTTY, write } })
    vi.advanceTimersByTime(ms)
    work.resolve()
    await done
    vi.useRealTimers()
    expect(written).toEqual(lines)
  })
})

test('the log of `npm start` shows JSON lines readably and others as they are, behind the program’s name', () => {
  const shown: string[] = []
  const print = createPrinter({
    names: ['api', 'worker'],
    colour: false,
    write: (text) => void shown.push(text),
  })
  print('api', '{"level":30,"time":0,"program":"api","port":3000,"msg":"listening"}')
  print('worker', 'plain words')
  expect(shown[0]).toMatch(/^api {4}│ \[\d\d:\d\d:\d\d\.\d{3}\] INFO: listening {"port":3000}\n$/)
  expect(shown[1]).toBe('worker │ plain words\n')
})

test('a CHROMIUM_PATH that does not exist is said, not passed over', async () => {
  expect(await findChromium({ CHROMIUM_PATH: '/nowhere/chromium', PATH: process.env.PATH })).toEqual({
    missing: 'CHROMIUM_PATH: no such file (/nowhere/chromium)',
  })
})

test.runIf(process.env.TEST_SLOW === '1' && packagesHere())(
  'the distribution’s Redis is unpacked without root and runs',
  { timeout: 120_000 },
  async () => {
    const status = readFileSync('/var/lib/dpkg/status', 'utf8').split('\n\n')
    const statusFile = join(folder, 'status')
    const redis = /^Package: (redis|libjemalloc2|liblzf1|liblua5\.1-0|lua-)/
    writeFileSync(statusFile, status.filter((block) => !redis.test(block)).join('\n\n'))
    const { binary, env } = await bringPackage({ root: folder, env: process.env, statusFile })
    expect(binary).toBe(join(folder, '.local/redis/usr/bin/redis-server'))
    expect((await run(binary, ['--version'], { env })).output).toContain('Redis server v=')
  },
)
