/** What an application asks of a number itself, whatever verifications it has. */
import type { Redis } from 'ioredis'
import type { Destination } from '#verification/destination.ts'
import type { Vault } from '#verification/vault.ts'
import type { Application } from '#verification/verification.ts'
import type { Keys } from './keys.ts'
import { ask } from './script.ts'

export type Destinations = ReturnType<typeof createDestinations>

export function createDestinations({ redis, keys, vault }: { redis: Redis; keys: Keys; vault: Vault }) {
  return {
    /**
     * The application has made sure of the person by other means: wrong codes in a row count from zero again. The
     * limits of the hour and the day stay. The same again changes nothing.
     */
    async rebind(application: Application, destination: Destination): Promise<void> {
      const tag = vault.tagDestination(destination)
      await ask(() => redis.del(keys.wrongInARow(application, tag)))
    },
  }
}
