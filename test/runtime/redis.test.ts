/** Connections that people wait on: nothing is run twice, and a Redis that cannot keep our promises is named. */
import { createServer, connect as openSocket, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { complaintAbout, connectForRequests } from '#runtime/redis.ts'
import { silentLog } from '#test/fixtures/redis.ts'
import { type OwnRedis, startOwnRedis } from '#test/fixtures/redis-server.ts'

let server: OwnRedis
beforeEach(async () => {
  server = await startOwnRedis()
})
afterEach(() => server.stop())

function connect(url: string) {
  const redis = connectForRequests(url, silentLog)
  const ready = new Promise<void>((resolve) => redis.once('ready', () => resolve()))
  return { redis, ready }
}

/** Passes everything on to Redis; and its replies as told: each once, none and the connection cut, or each twice. */
async function withReplies(port: number) {
  const sockets = new Set<Socket>()
  let replies: 'once' | 'lost' | 'twice' = 'once'
  let connections = 0
  const proxy: Server = createServer((client) => {
    connections += 1
    const upstream = openSocket(port, '127.0.0.1')
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}))
    client.pipe(upstream)
    upstream.on('data', (reply) => {
      if (replies === 'lost') client.destroy()
      else client.write(replies === 'twice' ? Buffer.concat([reply, reply]) : reply)
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = proxy.address()
  return {
    url: `redis://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    connections: () => connections,
    set(how: typeof replies) {
      replies = how
    },
    close() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}

describe('a command whose reply was lost', () => {
  it('fails, and is not run a second time by itself', async () => {
    const proxy = await withReplies(Number(new URL(server.url).port))
    const { redis, ready } = connect(proxy.url)
    const direct = connect(server.url)
    await Promise.all([ready, direct.ready])
    proxy.set('lost')
    await expect(redis.incr('runs')).rejects.toThrow()
    proxy.set('once')
    await new Promise<void>((resolve) => redis.once('ready', () => resolve()))
    expect(await redis.ping()).toBe('PONG')
    expect(await direct.redis.get('runs')).toBe('1')
    redis.disconnect()
    direct.redis.disconnect()
    proxy.close()
  })
})

describe('a reply that nobody asked for', () => {
  it('ends its connection, on which every later one would go to the wrong command', async () => {
    const proxy = await withReplies(Number(new URL(server.url).port))
    const { redis, ready } = connect(proxy.url)
    await ready
    proxy.set('twice')
    expect(await redis.echo('first')).toBe('first')
    proxy.set('once')
    await expect.poll(() => proxy.connections()).toBe(2)
    await expect.poll(() => redis.status).toBe('ready')
    expect(await Promise.all(['a', 'b', 'c'].map((text) => redis.echo(text)))).toEqual(['a', 'b', 'c'])
    redis.disconnect()
    proxy.close()
  })
})

describe('a command while Redis is away', () => {
  it('fails at once instead of waiting in line', async () => {
    const { redis, ready } = connect(server.url)
    await ready
    await server.kill()
    await expect.poll(() => redis.status).not.toBe('ready')
    const answer = redis.get('x').then(
      () => 'answered',
      () => 'refused',
    )
    const turn = new Promise((resolve) => setImmediate(() => setImmediate(resolve, 'still waiting')))
    expect(await Promise.race([answer, turn])).toBe('refused')
    redis.disconnect()
  })

  it('fails within a second when Redis is there and answers nothing', async () => {
    const { redis, ready } = connect(server.url)
    await ready
    server.freeze()
    const startedAt = performance.now()
    await expect(redis.get('x')).rejects.toThrow()
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    server.thaw()
    redis.disconnect()
  })
})

describe('a Redis', () => {
  it.each([
    ['that will do', [], true, undefined],
    ['that evicts keys', ['maxmemory-policy', 'allkeys-lru'], false, 'redis_evicts_keys'],
    ['without an append-only file, in production', ['appendonly', 'no'], true, 'redis_without_aof'],
    ['without an append-only file, on a laptop', ['appendonly', 'no'], false, undefined],
  ] as const)('%s is told as %s', async (_, setting, production, complaint) => {
    const { redis, ready } = connect(server.url)
    await ready
    const [name, value] = setting
    if (name && value) await redis.config('SET', name, value)
    expect(await complaintAbout(redis, production)).toBe(complaint)
    redis.disconnect()
  })

  it.each([
    ['redis_version:6.2.14', 'redis_too_old'],
    ['redis_version:7.0.0', undefined],
    ['redis_version:7.2.4\r\nvalkey_version:7.2.5', 'redis_too_old'],
    ['redis_version:7.2.4\r\nvalkey_version:8.0.0', undefined],
  ])('that says %j is told as %s', async (info, complaint) => {
    const { redis } = connect(server.url)
    redis.info = async () => `${info}\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n`
    expect(await complaintAbout(redis, true)).toBe(complaint)
    redis.disconnect()
  })
})
