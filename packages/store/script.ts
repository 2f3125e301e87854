/**
 * Loads a `.lua` file, with the files it includes and the policy it decides by, and runs it as one atomic step: as a
 * Redis function, whose policy and helpers are built once and not at each call (docs/decisions/0016). Decodes replies;
 * whatever Redis does wrong reaches the caller as one kind of fault.
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

/** What this program has made use of, by name: a library for each script and policy. */
const used = new Set<string>()
export const librariesInUse = (): readonly string[] => [...used]

/** Loading is tried again when the function was deleted in between, which one deployment may do to another. */
const LOADS_MAX = 3
const NAME_DIGITS = 16
const INCLUDE = /^--@include (\S+)$/gm

const readLua = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

/** The files a file includes, and those they include, in order. */
function helpersOf(text: string): string {
  return [...text.matchAll(INCLUDE)].map(([, name = '']) => helpersOf(readLua(name)) + readLua(name)).join('')
}

/** A library with one function of the same name; another policy or another text is another library. */
function libraryOf(name: string, policy: Policy, rules: string): { library: string; text: string } {
  const script = readLua(name)
  const prelude = luaPolicy(policy) + rules + helpersOf(script)
  const digest = createHash('sha256').update(prelude).update(script).digest('hex').slice(0, NAME_DIGITS)
  const library = `${name.replace('.lua', '')}_${digest}`
  const register = `redis.register_function('${library}', function(KEYS, ARGV)\n${script}\nend)`
  return { library, text: `#!lua name=${library}\n${prelude}${register}` }
}

async function loadLibrary(redis: Redis, text: string): Promise<void> {
  try {
    await redis.call('FUNCTION', 'LOAD', text)
  } catch (error) {
    // Another program was faster.
    if (!(error instanceof Error) || !error.message.includes('already exists')) throw faultOf(error)
  }
}

/** @param rules further Lua in front of the script, such as the rules it asks */
export function loadScript(name: string, policy: Policy, rules = ''): Script {
  const { library, text } = libraryOf(name, policy, rules)
  used.add(library)
  return async (redis, keys, args) => {
    for (let loads = 0; ; loads++) {
      try {
        return decodeReply(await redis.fcall(library, keys.length, ...keys, ...args), name)
      } catch (error) {
        // A Redis that is new, or was emptied, does not know it; it says so, and that nothing ran.
        const unknown = error instanceof Error && error.message === 'ERR Function not found'
        if (!unknown || loads === LOADS_MAX) throw faultOf(error)
        await loadLibrary(redis, text)
      }
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
  if (
    error instanceof Error &&
    /^(ERR|WRONGTYPE) .*(user_function|Error compiling|Error registering)/s.test(error.message)
  )
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
