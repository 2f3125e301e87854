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
import { loadScript, numberAt, textAt } from './script.ts'

export type Heeded = { kind: 'answer' | 'silent' }

/** A keyword that is to be answered: from whom it came, and to which number of ours, `agoMs` ago. */
export type Unanswered = { keyword: Keyword; destination: Destination; sender: string; agoMs: number }

export type Suppressions = ReturnType<typeof createSuppressions>

export function createSuppressions(deps: { redis: Redis; keys: Keys; policy: Policy; vault: Vault }) {
  const { redis, keys, policy, vault } = deps
  const script = loadScript('heed.lua', policy)
  const takeScript = loadScript('unanswered.lua', policy)

  /** One that was changed in Redis must not cost the others that were taken with it. */
  function openAddressee(sealed: string, sender: string): Destination | undefined {
    try {
      return vault.openAddressee(sealed, sender)
    } catch {
      return undefined
    }
  }

  function openReply(text: string, agoMs: number): Unanswered | undefined {
    const [keyword = '', sender = '', sealed = ''] = text.split(' ')
    const destination = openAddressee(sealed, sender)
    return destination && { keyword: keyword as Keyword, destination, sender, agoMs }
  }

  return {
    /**
     * @param sender our number the keyword came to
     * @param agoMs how long ago it came
     * @param token new for each message taken; the same one asks about the same message again
     * @param leave the answer is left to a worker, once
     */
    async heed(message: {
      keyword: Keyword
      destination: Destination
      sender: string
      agoMs: number
      token: string
      leave?: boolean
    }): Promise<Heeded> {
      const { keyword, destination, sender, agoMs, token, leave } = message
      const tag = vault.tagDestination(destination)
      const keyList = [keys.suppression(tag), keys.answer(tag, sender, keyword), keys.unanswered()]
      const reply = leave ? `${keyword} ${sender} ${vault.sealAddressee(destination, sender)}` : ''
      const [kind] = await script(redis, keyList, [keyword, sender, Math.round(agoMs), token, reply])
      return { kind: kind === 'answer' ? 'answer' : 'silent' }
    },

    /** Up to `count` answers that were left to a worker; what it cannot open is dropped. */
    async takeUnanswered(count: number): Promise<{ taken: number; replies: Unanswered[] }> {
      const said = await takeScript(redis, [keys.unanswered()], [count])
      const replies: Unanswered[] = []
      for (let index = 0; index + 1 < said.length; index += 2) {
        const reply = openReply(textAt(said, index + 1), numberAt(said, index))
        if (reply) replies.push(reply)
      }
      return { taken: said.length / 2, replies }
    },
  }
}
