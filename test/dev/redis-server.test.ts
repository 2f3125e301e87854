import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis as Client } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { alive } from '#dev/processes.mjs'
import { bringRedis, type Redis } from '#dev/redis.ts'
import { gone, watch } from './processes.ts'

const ROOT = join(import.meta.dirname, '..', '..')
// What `npm test` itself brought its Redis from is there for these too: a server on the PATH, or `.local/redis`.
const ORIGINS = ['path', 'package'] as const

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sms-2fa-data-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const bring = (folder?: string) => bringRedis({ root: ROOT, env: process.env, origins: ORIGINS, dir: folder })

async function ask<T>(redis: Redis, question: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(redis.url)
  try {
    return await question(client)
  } finally {
    client.disconnect()
  }
}

const pidOf = (redis: Redis) =>
  ask(redis, async (client) => Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1]))

describe('a Redis of our own', () => {
  test('has the settings the service asks for and listens on 127.0.0.1 only', async () => {
    const redis = await bring()
    const settings = await ask(redis, async (client) => [
      await client.config('GET', 'maxmemory-policy'),
      await client.config('GET', 'appendonly'),
      await client.config('GET', 'bind'),
    ])
    expect(settings.map((pair) => (pair as string[])[1])).toEqual(['noeviction', 'yes', '127.0.0.1'])
    await redis.stop()
  })

  test('leaves no process and no throwaway folder after stop()', async () => {
    const redis = await bring()
    const [pid, folder] = [
      await pidOf(redis),
      await ask(redis, async (client) => (await client.config('GET', 'dir')) as string[]),
    ]
    await redis.stop()
    expect(alive(pid)).toBe(false)
    expect(existsSync(folder[1] ?? '')).toBe(false)
  })

  test('keeps its data over a restart', async () => {
    const first = await bring(dir)
    await ask(first, (client) => client.set('kept', 'yes'))
    await first.stop()
    const second = await bring(dir)
    expect(await ask(second, (client) => client.get('kept'))).toBe('yes')
    await second.stop()
  })

  test('is not started twice on one folder', async () => {
    const [first, second] = await Promise.allSettled([bring(dir), bring(dir)])
    const started = [first, second].filter((one) => one.status === 'fulfilled')
    expect(started).toHaveLength(1)
    const refused = [first, second].find((one) => one.status === 'rejected')
    expect(String(refused?.reason)).toContain('already runs on')
    await started[0]?.value.stop()
  })
})

describe('when its owner is killed outright', () => {
  const owner = () => {
    const script = `
      import { bringRedis } from '#dev/redis.ts'
      const redis = await bringRedis({ root: ${JSON.stringify(ROOT)}, env: process.env, origins: ${JSON.stringify(ORIGINS)}, dir: ${JSON.stringify(dir)} })
      console.log('up ' + redis.url)
      setInterval(() => {}, 1000)`
    return watch(process.execPath, ['--input-type=module-typescript', '-e', script], { cwd: ROOT })
  }

  test('Redis ends too, and the folder can be used again', async () => {
    const killed = owner()
    await killed.says('up redis://')
    const record = JSON.parse(readFileSync(join(dir, 'running.json'), 'utf8'))
    const pid = await pidOf({ url: `redis://127.0.0.1:${record.port}` } as Redis)
    killed.child.kill('SIGKILL')
    await gone(pid)
    const next = await bring(dir)
    expect(await ask(next, (client) => client.ping())).toBe('PONG')
    await next.stop()
  })

  test('a Redis whose guard was killed as well is ended before another starts on its folder', async () => {
    const killed = owner()
    await killed.says('up redis://')
    const record = JSON.parse(readFileSync(join(dir, 'running.json'), 'utf8'))
    const pid = await pidOf({ url: `redis://127.0.0.1:${record.port}` } as Redis)
    const guards = watch('/bin/sh', ['-c', `ps -eo pid,args | grep " guard ${pid} " | grep -v grep`])
    await guards.ended
    process.kill(Number.parseInt(guards.output(), 10), 'SIGKILL')
    killed.child.kill('SIGKILL')
    await killed.ended
    expect(alive(pid)).toBe(true)
    const next = await bring(dir)
    expect(alive(pid)).toBe(false)
    await next.stop()
  })
})
