/** Function libraries of policies nobody uses any more are deleted; those in use stay, and a missed one comes back. */
import { expect, it } from 'vitest'
import { createLibraries } from '#store/libraries.ts'
import { librariesInUse } from '#store/script.ts'
import { keysWithoutTtl, useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, storeOn } from '#test/fixtures/store.ts'

const connection = useRedis()
const WEEK_MS = 7 * 24 * 3_600_000

async function stored(): Promise<string> {
  return JSON.stringify(await connection.redis.call('FUNCTION', 'LIST'))
}

it('a library that no program has used for a week is deleted, one in use is not', async () => {
  const { redis } = connection
  const store = storeOn(redis)
  const old = 'old_0123456789abcdef'
  await redis.call(
    'FUNCTION',
    'LOAD',
    'REPLACE',
    `#!lua name=${old}\nredis.register_function('${old}', function() return 1 end)`,
  )
  await redis.zadd(store.keys.libraries(), 1_000, old)
  await store.start(freshDestination())
  const libraries = createLibraries(store)
  expect(await libraries.tidy(1_000 + WEEK_MS - 1)).toBe(0)
  expect(await stored()).toContain(old)
  expect(await libraries.tidy(1_000 + WEEK_MS)).toBe(1)
  expect(await stored()).not.toContain(old)
  const start = librariesInUse().find((library) => library.startsWith('start_')) ?? ''
  expect(await redis.zscore(store.keys.libraries(), start)).toBe(String(1_000 + WEEK_MS))
  expect(await keysWithoutTtl(redis, store.prefix)).toEqual([])
  await store.start(freshDestination())
})
