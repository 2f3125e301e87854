/**
 * Loads a `.lua` file, with the files it includes and the policy it decides by, and runs it as one atomic step.
 * Decodes replies; whatever Redis does wrong reaches the caller as one kind of fault.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ChainableCommander, Redis } from 'ioredis'
import type { Policy } from '#verification/policy.ts'
import { luaPolicy } from './lua-policy.ts'

/** Redis did not do what was asked: away, too slow, or refusing. What was asked may have happened or not. */
export class StoreFault extends Error {
  override name = 'StoreFault'
}

class ScriptMistake extends Error {
  override name = 'ScriptMistake'
}

/** The strings and integers a script replied with, in order. */
export type Reply = (string | number)[]

export type Script = (
  redis: Redis,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<Reply>

function readLua(name: string): string {
  const text = readFileSync(new URL(name, import.meta.url), 'utf8')
  return text.replace(/^--@include (\S+)$/gm, (_, included: string) => readLua(included))
}

/** @param rules further Lua in front of the script, such as the rules it asks */
export function loadScript(name: string, policy: Policy, rules = ''): Script {
  const text = luaPolicy(policy) + rules + readLua(name)
  const sha = createHash('sha1').update(text).digest('hex')
  return async (redis, keys, args) => {
    try {
      return decodeReply(await redis.evalsha(sha, keys.length, ...keys, ...args), name)
    } catch (error) {
      // Redis forgets scripts when it restarts; NOSCRIPT says that nothing ran.
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw faultOf(error)
      return decodeReply(await ask(() => redis.eval(text, keys.length, ...keys, ...args)), name)
    }
  }
}

/** Turns every way Redis fails into a StoreFault. */
export async function ask<T>(command: () => Promise<T>): Promise<T> {
  try {
    return await command()
  } catch (error) {
    throw faultOf(error)
  }
}

/**
 * A mistake of ours inside a script, or in what it replied, stays what it is. Redis names a script's line also when it
 * refuses a write (OOM, READONLY, NOREPLICAS, MISCONF, …): only a plain ERR or WRONGTYPE there is ours.
 */
function faultOf(error: unknown): unknown {
  if (error instanceof ScriptMistake) return error
  if (error instanceof Error && /^(ERR|WRONGTYPE) .*(user_script|Error compiling)/s.test(error.message))
    return error
  return new StoreFault('Redis did not answer as it should', { cause: error })
}

/** The results of a pipeline, in order; one failed command fails them all. */
export async function askAll(pipeline: ChainableCommander): Promise<unknown[]> {
  const replies = await ask(() => pipeline.exec())
  return (replies ?? []).map(([fault, result]) => {
    if (fault) throw new StoreFault('Redis did not answer as it should', { cause: fault })
    return result
  })
}

function decodeReply(reply: unknown, name: string): Reply {
  if (!Array.isArray(reply)) throw new ScriptMistake(`${name} replied with ${typeof reply}`)
  return reply.map((part: unknown) => {
    if (typeof part === 'string' || typeof part === 'number') return part
    throw new ScriptMistake(`${name} replied with a ${typeof part} inside`)
  })
}

export function textAt(reply: Reply, index: number): string {
  return String(reply[index])
}

/** An integer of a reply; Redis hands integers as numbers, JSON kept in Redis as either. */
export function numberAt(reply: Reply, index: number): number {
  const value = Number(reply[index])
  if (!Number.isFinite(value)) throw new Error(`No number at ${index} of a reply`)
  return value
}
