/** A Redis that refuses writes inside a script is in trouble, which is no mistake of ours: a fault to be tried again. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectForRequests } from '#runtime/redis.ts'
import { StoreFault } from '#store/script.ts'
import { silentLog } from '#test/fixtures/redis.ts'
import { type OwnRedis, startOwnRedis } from '#test/fixtures/redis-server.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'

let server: OwnRedis
beforeEach(async () => {
  server = await startOwnRedis()
})
afterEach(() => server.stop())

describe('Redis', () => {
  it.each([
    ['out of memory', 'maxmemory', '1'],
    ['without its replicas', 'min-replicas-to-write', '1'],
  ])(
    '%s makes every call a fault of the store, and is worked with again afterwards',
    async (_, name, value) => {
      const redis = connectForRequests(server.url, silentLog)
      await new Promise<void>((resolve) => redis.once('ready', () => resolve()))
      const store = storeOn(redis)
      const { id } = await store.start(freshDestination())
      const code = await store.codeFor(id)
      const send = { application: APPLICATION, verification: id, send: 1 }
      await redis.config('SET', name, value)
      await expect(store.verifications.start(store.requestFor(freshDestination()))).rejects.toThrow(
        StoreFault,
      )
      await expect(store.check(id, code)).rejects.toThrow(StoreFault)
      await expect(store.deliveries.claim(send, 'token')).rejects.toThrow(StoreFault)
      await redis.config('SET', name, '0')
      expect(await store.deliveries.claim(send, 'token')).toMatchObject({ kind: 'claimed', attempt: 1 })
      expect(await store.check(id, code)).toMatchObject({ verdict: 'approved' })
      redis.disconnect()
    },
  )
})
