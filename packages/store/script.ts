/**
 * Loads a `.lua` file, with the files it includes and the policy it decides by, and runs it as one atomic step.
 * Decodes replies; whatever Redis does wrong reaches the caller as one kind of fault.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ChainableCommander, Redis } from 'ioredis'
import type { Policy } from '#verification/policy.ts'

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

/** Scripts see the policy as a Lua table of this shape; a time is in milliseconds, a limit list is flat. */
function luaPolicy(policy: Policy): string {
  const limits = (list: Policy['sendLimits']) => list.flatMap((limit) => [limit.max, limit.windowMs])
  const fields = {
    code_ttl_ms: policy.codeTtlMs,
    send_reserve_ms: policy.sendReserveMs,
    retention_ms: policy.retentionMs,
    checks_max: policy.checksMax,
    resend_waits_ms: policy.resendWaitsMs,
    send_limits: limits(policy.sendLimits),
    wrong_check_limits: limits(policy.wrongCheckLimits),
    resend_code: policy.resendCode,
    unknown: policy.unknown,
    submissions_max: policy.submissionsMax,
    receipt_wait_ms: policy.receiptWaitMs,
    lease_ms: policy.leaseMs,
    sweep_after_ms: policy.sweepAfterMs,
    idempotency_ttl_ms: policy.idempotencyTtlMs,
    clock_skew_ms: policy.clockSkewMs,
  }
  const literal = (value: number | string | readonly number[]) =>
    typeof value === 'object' ? `{${value.join(',')}}` : JSON.stringify(value)
  const entries = Object.entries(fields).map(([name, value]) => `${name}=${literal(value)}`)
  return `local policy = {${entries.join(',')}}\n`
}

function readLua(name: string): string {
  const text = readFileSync(new URL(name, import.meta.url), 'utf8')
  return text.replace(/^--@include (\S+)$/gm, (_, included: string) => readLua(included))
}

export function loadScript(name: string, policy: Policy): Script {
  const text = luaPolicy(policy) + readLua(name)
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
