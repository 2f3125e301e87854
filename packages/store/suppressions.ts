/**
 * Who told us to stop. Kept by the number's tag for the whole deployment, over all applications: the person who wrote
 * STOP knows one sender and no application. The start, resend and claim scripts look here before anything is sent.
 */
import type { Redis } from 'ioredis'
import type { Destination } from '#verification/destination.ts'
import type { Keyword } from '#verification/keyword.ts'
import type { Policy } from '#verification/policy.ts'
import type { Vault } from '#verification/vault.ts'
import type { Keys } from './keys.ts'
import { loadScript } from './script.ts'

export type Heeded = { kind: 'answer' | 'silent' }

export type Suppressions = ReturnType<typeof createSuppressions>

export function createSuppressions(deps: { redis: Redis; keys: Keys; policy: Policy; vault: Vault }) {
  const { redis, keys, policy, vault } = deps
  const script = loadScript('heed.lua', policy)
  return {
    /**
     * @param sender our number the keyword came to
     * @param agoMs how long ago it came
     * @param token new for each message taken; the same one asks about the same message again
     */
    async heed(message: {
      keyword: Keyword
      destination: Destination
      sender: string
      agoMs: number
      token: string
    }): Promise<Heeded> {
      const { keyword, destination, sender, agoMs, token } = message
      const tag = vault.tagDestination(destination)
      const keyList = [keys.suppression(tag), keys.answer(tag, sender, keyword)]
      const [kind] = await script(redis, keyList, [keyword, sender, Math.round(agoMs), token])
      return { kind: kind === 'answer' ? 'answer' : 'silent' }
    },
  }
}
