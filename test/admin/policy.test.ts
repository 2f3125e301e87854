/** `npm run policy` and `npm run sending` as they run. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { freshPrefix, keysWithoutTtl, testRedisUrl, useRedis } from '#test/fixtures/redis.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'

const ROOT = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'traffic-'))
afterAll(() => rmSync(folder, { recursive: true }))

const connection = useRedis()

function run(command: 'policy' | 'sending', args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [`apps/admin/${command}.ts`, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, REDIS_URL: testRedisUrl(), ...env },
    timeout: 10_000,
  })
}

function fileOf(...lines: readonly (object | string)[]): string {
  const file = join(folder, `${freshPrefix()}.jsonl`)
  writeFileSync(
    file,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  )
  return file
}

/** A Redis that holds no function libraries but those of a replay, and what is left in it. */
async function ownRedis() {
  const server = await startOwnRedis()
  const redis = new Redis(server.url)
  onTestFinished(async () => {
    redis.disconnect()
    await server.stop()
  })
  return { url: server.url, redis, libraries: () => redis.call('FUNCTION', 'LIST') }
}

const at = (second: number) => new Date(Date.parse('2026-03-02T10:00:00Z') + second * 1_000).toISOString()

describe('a replay', () => {
  it('says who would have been refused, by which limit, and what it would have cost', async () => {
    const file = fileOf(
      { at: at(0), to: '+12025550101', client_ip: '203.0.113.7' },
      { at: at(20), event: 'approve', to: '+12025550101' },
      { at: at(30), to: '+12025550102', client_ip: '203.0.113.7' },
      '',
      { at: at(40), to: '+12025550103', client_ip: '203.0.113.7' },
      { at: at(41), to: '+18765550103', client_ip: '203.0.113.8' },
    )
    const { status, stdout, stderr } = run('policy', ['replay', file], { LIMIT_IP_HOUR: '2' })
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout.split('\n')).toEqual([
      `${at(40)}  +*******0103  203.0.113.7  client_limit ip_hour  0.015`,
      `${at(41)}  unreadable  203.0.113.8  region_not_allowed  0.00`,
      '4 starts: 2 sent for 0.03, 2 refused, which would have cost 0.015',
      '',
      'refused:',
      '  client_limit (ip_hour): 1, 0.015',
      '  region_not_allowed: 1, 0.00',
      '',
      'checks:',
      '  approved: 1',
      '',
    ])
    expect(await connection.redis.keys('{replay-*')).toEqual([])
  })

  it('asks the limits of a number as they are set', () => {
    const starts = [0, 700, 1_400].map((second) => ({ at: at(second), to: '+12025550101' }))
    const file = fileOf(...starts)
    expect(run('policy', ['replay', file]).stdout).toContain('3 starts: 3 sent')
    const { stdout } = run('policy', ['replay', file], { LIMIT_NUMBER_DAY: '2' })
    expect(stdout).toContain(`${at(1_400)}  +*******0101  -  send_limit number_day`)
  })

  it('names what only speaks up', () => {
    const starts = [0, 1, 2].map((index) => ({
      at: at(index),
      to: `+1202555010${index}`,
      client_ip: '203.0.113.7',
    }))
    const { stdout } = run('policy', ['replay', fileOf(...starts)], { LIMIT_IP_HOUR: '2:observe' })
    expect(stdout).toContain('3 starts: 3 sent')
    expect(stdout).toContain('ip_hour=observe: 1')
  })

  it.each([
    ['nothing JSON', 'hello', 'line 1: must be a JSON object'],
    ['no time', { to: '+12025550101' }, 'line 1: "at" must be a time'],
    [
      'another event',
      { at: at(0), to: '+12025550101', event: 'call' },
      'line 1: "event" must be start or approve',
    ],
    ['no number', { at: at(0) }, 'line 1: "to" must be a phone number'],
    ['no address', { at: at(0), to: '+12025550101', client_ip: 'home' }, 'line 1: "client_ip" must be an IP'],
    [
      'no application',
      { at: at(0), to: '+12025550101', application: 'A B' },
      'line 1: "application" must be',
    ],
  ])('of a line with %s says which, and leaves nothing', async (_, line, said) => {
    const { status, stderr } = run('policy', ['replay', fileOf(line)])
    expect(status).toBe(1)
    expect(stderr).toContain(said)
    expect(await connection.redis.keys('{replay-*')).toEqual([])
  })

  it.each<[string, string[], number]>([
    ['that goes well', [], 0],
    ['that fails half way', ['hello'], 1],
  ])('%s leaves no function library in Redis', async (_, more, expected) => {
    const { url, libraries } = await ownRedis()
    const file = fileOf(
      { at: at(0), to: '+12025550101' },
      { at: at(1), event: 'approve', to: '+12025550101' },
    )
    writeFileSync(file, more.map((line) => `\n${line}`).join(''), { flag: 'a' })
    expect(run('policy', ['replay', file], { REDIS_URL: url }).status).toBe(expected)
    expect(await libraries()).toEqual([])
  })

  it('that is interrupted leaves neither keys nor function libraries', async () => {
    const { url, redis, libraries } = await ownRedis()
    const sent = Array.from({ length: 50_000 }, (_, second) => ({ at: at(second), to: '+12025550101' }))
    const program = spawn(process.execPath, ['apps/admin/policy.ts', 'replay', fileOf(...sent)], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, REDIS_URL: url },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(program, 'exit')
    await once(program.stdout, 'data')
    expect(await libraries()).not.toEqual([])
    program.stdout.resume()
    program.kill('SIGINT')
    expect(await ended).toEqual([130, null])
    expect(await libraries()).toEqual([])
    expect(await redis.keys('*')).toEqual([])
  })

  it('of a file that is not there says so, without a command its usage, without Redis whose it is', () => {
    expect(run('policy', ['replay', join(folder, 'none')])).toMatchObject({ status: 1 })
    expect(run('policy', [])).toMatchObject({ status: 2, stderr: expect.stringContaining('Usage') })
    const away = run('policy', ['replay', fileOf('')], { REDIS_URL: 'redis://127.0.0.1:1' })
    expect(away).toMatchObject({ status: 1, stderr: expect.stringContaining('REDIS_URL') })
  })
})

describe('sending', () => {
  it('is stopped with a reason, shown, and allowed again', async () => {
    const env = { REDIS_PREFIX: freshPrefix() }
    expect(run('sending', ['status'], env).stdout).toBe('Sending is allowed.\n')
    const stopped = run('sending', ['stop', 'pumping', 'in', 'JM'], env)
    expect(stopped.stdout).toMatch(/^Sending is stopped since 20.*Z: pumping in JM\.\n$/)
    expect(await keysWithoutTtl(connection.redis, env.REDIS_PREFIX)).toEqual([])
    expect(run('sending', ['status'], env).stdout).toBe(stopped.stdout)
    expect(run('sending', ['start'], env).stdout).toBe('Sending is allowed.\n')
  })

  it.each([[[]], [['halt']], [['start', 'now']]])('of %j prints its usage', (args) => {
    expect(run('sending', args)).toMatchObject({ status: 2, stderr: expect.stringContaining('Usage') })
  })

  it('without Redis says that nothing is certain', () => {
    const away = run('sending', ['stop'], { REDIS_URL: 'redis://:secret@127.0.0.1:1' })
    expect(away.status).toBe(1)
    expect(away.stderr).toContain('Nothing is certain')
    expect(away.stderr).not.toContain('secret')
    const asked = run('sending', ['status'], { REDIS_URL: 'redis://:secret@127.0.0.1:1' })
    expect(asked.stderr).toMatch(/ Is REDIS_URL that of the APIs\?\n$/)
  })
})
