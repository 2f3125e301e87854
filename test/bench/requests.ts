/** How fast the API answers a start, a check and a refused start, each against the floor; and how start grows. */
import type { Redis } from 'ioredis'
import { parseVerificationId, type VerificationId } from '#verification/verification.ts'
import { compare, type Load, measure } from './load.ts'
import { createMaterial, type KnownCode, nextAddress, nextNumber } from './material.ts'
import { startProgram } from './programs.ts'
import { printLine, printMeasured } from './report.ts'

const startBody = () => JSON.stringify({ to: nextNumber(), client_ip: nextAddress() })

export type BenchContext = { redisUrl: string; redis: Redis }

export async function benchRequests({ redisUrl, redis }: BenchContext): Promise<boolean[]> {
  const env = { REDIS_URL: redisUrl, REDIS_PREFIX: 'requests' }
  const floorServer = await startProgram('test/bench/floor.ts', 'PORT', {})
  const api = await startProgram('apps/api/main.ts', 'PORT', env)
  const floor = (path: string): Load => ({ url: floorServer.url, path, body: startBody })
  const reached: boolean[] = []
  try {
    console.log('\nRequests, 50 connections, every limit and every log line on, no worker behind')
    const start = await compare(floor('/started'), {
      url: api.url,
      path: '/v1/verifications',
      body: startBody,
    })
    printMeasured('floor', start.floor)
    printMeasured('start', start.load)
    reached.push(printLine('start', start.ratio, '× floor', { atLeast: 0.25 }))

    const check = await compare(floor('/checked'), await checkLoad(api.url, redis))
    printMeasured('floor', check.floor)
    printMeasured('check of the right code', check.load)
    reached.push(printLine('check', check.ratio, '× floor', { atLeast: 0.35 }))

    const body = JSON.stringify({ to: '+12025550100' })
    const refused = await compare(floor('/refused'), {
      url: api.url,
      path: '/v1/verifications',
      body: () => body,
    })
    printMeasured('floor', refused.floor)
    printMeasured('refused start', refused.load)
    reached.push(
      printLine('refused start', refused.ratio, '× floor', {
        atLeast: 0.45,
      }),
    )
  } finally {
    await api.stop()
    await floorServer.stop()
  }
  return reached
}

/** More than can be checked in one turn. */
const CHECKS_A_TURN = 40_000

/** Each verification was started over the same API a moment ago and is checked once, with its own right code. */
async function checkLoad(url: string, redis: Redis): Promise<Load> {
  const material = createMaterial(redis, 'requests')
  let codes: KnownCode[] = []
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
    async prepare() {
      const ids = await startOverHttp(url, CHECKS_A_TURN)
      codes = await material.codesOf(ids)
      next = 0
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
    const few = await measure(load)
    await material.start(100_000)
    const many = await measure(load)
    printMeasured('1,000 pending', few)
    printMeasured('100,000 pending', many)
    return [printLine('p50 at 100,000 against 1,000', many.p50Ms / few.p50Ms, '×', { atMost: 1.25 })]
  } finally {
    await api.stop()
  }
}

/** Bytes of Redis for a pending verification, its job and its counters, over the API. */
export async function benchMemory({ redisUrl, redis }: BenchContext): Promise<boolean[]> {
  console.log('\nRedis memory')
  const api = await startProgram('apps/api/main.ts', 'PORT', { REDIS_URL: redisUrl, REDIS_PREFIX: 'mem' })
  try {
    await startOverHttp(api.url, 500)
    const before = await usedMemory(redis)
    await startOverHttp(api.url, 20_000)
    const bytes = ((await usedMemory(redis)) - before) / 20_000
    const lasting = await lastingKeys(redis, 'mem')
    return [
      printLine('a pending verification with its job and counters', bytes, 'bytes', { atMost: 2_000 }),
      printLine('keys of ours that would never expire', lasting, 'keys', { atMost: 0 }),
    ]
  } finally {
    await api.stop()
  }
}

async function startOverHttp(url: string, count: number): Promise<VerificationId[]> {
  const ids: VerificationId[] = []
  while (ids.length < count) {
    const calls = Array.from({ length: 100 }, async () => {
      const headers = { 'Content-Type': 'application/json' }
      const answer = await fetch(`${url}/v1/verifications`, { method: 'POST', headers, body: startBody() })
      return parseVerificationId(JSON.parse(await answer.text()).id)
    })
    ids.push(...(await Promise.all(calls)).filter((id) => id !== undefined))
  }
  return ids
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
}

async function lastingKeys(redis: Redis, prefix: string): Promise<number> {
  let lasting = 0
  for await (const keys of redis.scanStream({ match: `{${prefix}}:*`, count: 1_000 })) {
    const ttls = await Promise.all(keys.map((key: string) => redis.pttl(key)))
    lasting += ttls.filter((ttl) => ttl === -1).length
  }
  return lasting
}
