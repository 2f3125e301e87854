/** What an application asks of a number itself, whatever verifications it has. */
import type { Redis } from 'ioredis'
import type { Destination } from '#verification/destination.ts'
import type { Policy } from '#verification/policy.ts'
import type { Vault } from '#verification/vault.ts'
import type { Application } from '#verification/verification.ts'
import type { Keys } from './keys.ts'
import { luaEvents } from './lua-policy.ts'
import { ask, loadScript } from './script.ts'

export type Destinations = ReturnType<typeof createDestinations>

export function createDestinations(deps: { redis: Redis; keys: Keys; policy: Policy; vault: Vault }) {
  const { redis, keys, policy, vault } = deps
  const eraseScript = loadScript('erase.lua', policy, luaEvents(policy, keys))

  return {
    /**
     * The application has made sure of the person by other means: wrong codes in a row count from zero again. The
     * limits of the hour and the day stay, and so does the block of payments. The same again changes nothing.
     */
    async rebind(application: Application, destination: Destination): Promise<void> {
      const tag = vault.tagDestination(destination)
      await ask(() => redis.del(keys.wrongInARow(application, tag)))
    },

    /**
     * Removes what is known of the number for the application. A message that a worker has in hand at that moment may
     * still leave; none is ordered or claimed afterwards. An opt-out is no part of it: it stays.
     */
    async erase(application: Application, destination: Destination): Promise<void> {
      const tag = vault.tagDestination(destination)
      await eraseScript(
        redis,
        [
          keys.sends(application, tag),
          keys.wrongChecks(application, tag),
          keys.wrongInARow(application, tag),
          keys.wrongPayments(application, tag),
          keys.agenda(application),
        ],
        [keys.verifications(application), keys.pointers(application, tag)],
      )
    },
  }
}
