/** Where Redis is: sentinels, read from the settings; and a name that leads to another server after a failover. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createReader } from '#runtime/env.ts'
import { connectForRequests } from '#runtime/redis.ts'
import { readRedis } from '#runtime/settings.ts'
import { silentLog } from '#test/fixtures/redis.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'

function settingsOf(env: Record<string, string>) {
  const reader = createReader(env)
  return { ...readRedis(reader), problems: reader.problems }
}

describe('REDIS_SENTINELS', () => {
  it('names hosts and ports; without it the address is asked', () => {
    const set = settingsOf({ REDIS_SENTINELS: 'sentinel-1:26379, 10.0.0.2:26380,[::1]:26379' })
    expect(set.problems).toEqual([])
    expect(set.redisSentinels).toEqual([
      { host: 'sentinel-1', port: 26379 },
      { host: '10.0.0.2', port: 26380 },
      { host: '::1', port: 26379 },
    ])
    expect(set.redisSentinelName).toBe('mymaster')
    expect(settingsOf({}).redisSentinels).toEqual([])
  })

  it.each([
    'sentinel-1',
    'sentinel-1:',
    ':26379',
    'sentinel-1:0',
    'sentinel-1:65536',
    'redis://a:1',
    'a:1,,b:2',
  ])('%s is a mistake, said by its name', (text) => {
    const { problems } = settingsOf({ REDIS_SENTINELS: text })
    expect(problems).toEqual([expect.stringMatching(/^REDIS_SENTINELS: must be /)])
    expect(problems.join()).not.toContain(`${text} `)
  })

  it.each(['my master', 'a'.repeat(65), 'größe'])('a primary is not called %s', (text) => {
    expect(settingsOf({ REDIS_SENTINEL_NAME: text }).problems).toEqual([
      expect.stringMatching(/^REDIS_SENTINEL_NAME: must be /),
    ])
  })
})

/** A name of which nobody knows where it leads by now. */
async function movingName(first: string) {
  let leadsTo = first
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const redis = connect(Number(new URL(leadsTo).port), '127.0.0.1')
    for (const socket of [client, redis]) sockets.add(socket.on('error', () => {}))
    client.pipe(redis).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    move(to: string) {
      leadsTo = to
    },
    /** Nothing comes through any more on the connections there are, and none of them is closed. */
    silence() {
      for (const socket of sockets) socket.unpipe().pause()
    },
  }
}

it('a primary that became a replica is left for the one its name leads to by now', async () => {
  const [old, next] = await Promise.all([startOwnRedis(), startOwnRedis()])
  onTestFinished(async () => void (await Promise.all([old.stop(), next.stop()])))
  const name = await movingName(old.url)
  const redis = connectForRequests(name.url, silentLog)
  onTestFinished(() => redis.disconnect())
  await once(redis, 'ready')
  expect(await redis.set('where', 'old')).toBe('OK')
  name.move(next.url)
  await old.ask(`REPLICAOF 127.0.0.1 ${new URL(next.url).port}`)
  await expect(redis.set('where', 'lost')).rejects.toThrow('READONLY')
  await expect.poll(() => redis.set('where', 'next').catch(() => 'not yet'), { timeout: 5_000 }).toBe('OK')
  expect(await next.ask('GET where')).toBe('next')
})

it('a Redis that is gone without a word is given up after five seconds, and dialled anew', {
  timeout: 20_000,
}, async () => {
  const server = await startOwnRedis()
  onTestFinished(() => server.stop())
  const name = await movingName(server.url)
  const redis = connectForRequests(name.url, silentLog)
  onTestFinished(() => redis.disconnect())
  await once(redis, 'ready')
  name.silence()
  await expect(redis.ping()).rejects.toThrow()
  await expect.poll(() => redis.ping().catch(() => 'not yet'), { timeout: 8_000 }).toBe('PONG')
})

it('a Redis that stays read-only is not dialled anew at every refusal', async () => {
  const server = await startOwnRedis()
  onTestFinished(() => server.stop())
  await server.ask('REPLICAOF 127.0.0.1 1')
  const redis = connectForRequests(server.url, silentLog)
  onTestFinished(() => redis.disconnect())
  await once(redis, 'ready')
  let dials = 0
  redis.on('connect', () => {
    dials += 1
  })
  const until = performance.now() + 900
  while (performance.now() < until) {
    await redis.set('x', '1').catch(() => {})
    await setImmediate()
  }
  expect(dials).toBe(1)
})
