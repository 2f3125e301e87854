/** How fast the API answers a start, a check and a refused start, each against the floor; and how start grows. */
import type { Redis } from 'ioredis'
import { type Load, measureAgainst } from './load.ts'
import { createMaterial, nextNumber } from './material.ts'
import { startProgram } from './programs.ts'
import { printLine, printMeasured } from './report.ts'

const startBody = () => JSON.stringify({ to: nextNumber() })

export type BenchContext = { redisUrl: string; redis: Redis }

export async function benchRequests({ redisUrl, redis }: BenchContext): Promise<boolean[]> {
  const env = { REDIS_URL: redisUrl, REDIS_PREFIX: 'requests' }
  const floorServer = await startProgram('test/bench/floor.ts', 'PORT', {})
  const api = await startProgram('apps/api/main.ts', 'PORT', env)
  const floor = (path: string): Load => ({ url: floorServer.url, path, body: startBody })
  const reached: boolean[] = []
  try {
    console.log('\nRequests, 50 connections, every limit and every log line on, no worker behind')
    const start = await measureAgainst(floor('/started'), {
      url: api.url,
      path: '/v1/verifications',
      body: startBody,
    })
    printMeasured('floor', start.floor)
    printMeasured('start', start.load)
    reached.push(
      printLine('start', start.load.perSecond / start.floor.perSecond, '× floor', { atLeast: 0.25 }),
    )

    const check = await measureAgainst(floor('/checked'), await checkLoad(api.url, redis))
    printMeasured('floor', check.floor)
    printMeasured('check of the right code', check.load)
    reached.push(
      printLine('check', check.load.perSecond / check.floor.perSecond, '× floor', { atLeast: 0.35 }),
    )

    const body = JSON.stringify({ to: '+12025550100' })
    const refused = await measureAgainst(floor('/refused'), {
      url: api.url,
      path: '/v1/verifications',
      body: () => body,
    })
    printMeasured('floor', refused.floor)
    printMeasured('refused start', refused.load)
    reached.push(
      printLine('refused start', refused.load.perSecond / refused.floor.perSecond, '× floor', {
        atLeast: 0.45,
      }),
    )
  } finally {
    await api.stop()
    await floorServer.stop()
  }
  return reached
}

/** Enough verifications that each is checked once, with its own right code. */
async function checkLoad(url: string, redis: Redis): Promise<Load> {
  const material = createMaterial(redis, 'requests')
  const codes = await material.codesOf(await material.start(150_000))
  let next = 0
  const current = () => codes[next % codes.length]
  return {
    url,
    path: () => `/v1/verifications/${current()?.id}/checks`,
    body() {
      const code = current()?.code
      next += 1
      return JSON.stringify({ code })
    },
  }
}

/** The same start when a thousand and when a hundred thousand verifications are pending. */
export async function benchGrowth({ redisUrl, redis }: BenchContext): Promise<boolean[]> {
  console.log('\nStart with other verifications pending')
  const api = await startProgram('apps/api/main.ts', 'PORT', { REDIS_URL: redisUrl, REDIS_PREFIX: 'growth' })
  const load: Load = {
    url: api.url,
    path: '/v1/verifications',
    body: startBody,
    connections: 10,
    rate: 1_000,
  }
  const material = createMaterial(redis, 'growth')
  try {
    await material.start(1_000)
    const few = await measureAgainst(load, load)
    await material.start(100_000)
    const many = await measureAgainst(load, load)
    printMeasured('1,000 pending', few.load)
    printMeasured('100,000 pending', many.load)
    return [
      printLine('p50 at 100,000 against 1,000', many.load.p50Ms / few.load.p50Ms, '×', { atMost: 1.25 }),
    ]
  } finally {
    await api.stop()
  }
}

/** Bytes of Redis for a pending verification, its job and its counters, over the API. */
export async function benchMemory({ redisUrl, redis }: BenchContext): Promise<boolean[]> {
  console.log('\nRedis memory')
  const api = await startProgram('apps/api/main.ts', 'PORT', { REDIS_URL: redisUrl, REDIS_PREFIX: 'memory' })
  try {
    await startOverHttp(api.url, 500)
    const before = await usedMemory(redis)
    await startOverHttp(api.url, 20_000)
    const bytes = ((await usedMemory(redis)) - before) / 20_000
    const lasting = await lastingKeys(redis, 'memory')
    return [
      printLine('a pending verification with its job and counters', bytes, 'bytes', { atMost: 2_000 }),
      printLine('keys of ours that would never expire', lasting, 'keys', { atMost: 0 }),
    ]
  } finally {
    await api.stop()
  }
}

async function startOverHttp(url: string, count: number): Promise<void> {
  for (let done = 0; done < count; done += 100) {
    const calls = Array.from({ length: 100 }, () =>
      fetch(`${url}/v1/verifications`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: startBody(),
      }).then((answer) => answer.arrayBuffer()),
    )
    await Promise.all(calls)
  }
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
}

async function lastingKeys(redis: Redis, prefix: string): Promise<number> {
  let lasting = 0
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
    const ttls = await Promise.all(keys.map((key: string) => redis.pttl(key)))
    lasting += ttls.filter((ttl) => ttl === -1).length
  }
  return lasting
}
