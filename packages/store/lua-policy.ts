/** The policy as the scripts see it: one Lua table in front of each, times in milliseconds. */
import { EVENT_LIFE_MS } from '#verification/event.ts'
import {
  ALARM_SHARE,
  type Counted,
  GUESS_SCOPES,
  REPLY_SCOPES,
  type Rule,
  refusalOfRule,
  SCOPES,
  type Scope,
  SECOND_SCOPES,
} from '#verification/gate.ts'
import type { Policy, WindowLimit } from '#verification/policy.ts'
import { REPLY_VALID_MS } from '#verification/reply.ts'
import type { Keys } from './keys.ts'

type Value = string | number | boolean | undefined | readonly Value[] | { readonly [name: string]: Value }

/**
 * What is counted for many people together: its limits raise an alarm, and hold for a trusted number as well. An alarm
 * for one address would only tell an attacker's story.
 */
const SHARED_SCOPES: readonly Scope[] = ['region', 'form', 'application', 'overall']
/** The oldest bucket of a meter counts until it is wholly outside the window, and a key is renewed once a bucket. */
const METER_LIFE = 14 / 12
/** About 30 MB of events that nobody came for; beyond it the oldest go. */
export const OUTBOX_MAX = 100_000
/** A limit that is told of is not told of again for so long. */
const LIMIT_QUIET_MS = 600_000

export function luaPolicy(policy: Policy): string {
  return `local policy = ${literal({
    code_ttl_ms: policy.codeTtlMs,
    send_reserve_ms: policy.sendReserveMs,
    retention_ms: policy.retentionMs,
    checks_max: policy.checksMax,
    resend_waits_ms: policy.resendWaitsMs,
    send_limits: policy.sendLimits.map(windowLimit),
    wrong_check_limits: policy.wrongCheckLimits.map(windowLimit),
    wrong_in_a_row_max: policy.wrongInARowMax,
    wrong_in_a_row_ttl_ms: policy.wrongInARowTtlMs,
    payment_wrong_max: policy.payments.wrongMax,
    payment_block_ms: policy.payments.blockMs,
    payment_period_ms: policy.payments.periodMs,
    conversion_window_ms: policy.conversionWindowMs,
    gate_ttl_ms: lifeOf(policy.rules, policy.conversionWindowMs),
    stopped_retry_ms: policy.stoppedRetryMs,
    resend_code: policy.resendCode,
    unknown: policy.unknown,
    submissions_max: policy.submissionsMax,
    receipt_wait_ms: policy.receiptWaitMs,
    last_try_ms: policy.lastTryMs,
    lease_ms: policy.leaseMs,
    sweep_after_ms: policy.sweepAfterMs,
    idempotency_ttl_ms: policy.idempotencyTtlMs,
    suppression_ttl_ms: policy.suppressionTtlMs,
    reply_wait_ms: policy.replyWaitMs,
    reply_valid_ms: REPLY_VALID_MS,
    clock_skew_ms: policy.clockSkewMs,
    burst_ms: policy.burstMs,
    turn_longest_ms: policy.turnLongestMs,
    backlog_retry_ms: policy.backlogRetryMs,
    clock_key: policy.clockKey,
  })}\n`
}

/** Where the scripts leave events, and which; nothing, and then they leave none, where none is wanted. */
export function luaEvents({ events }: Policy, keys: Keys): string {
  if (events.length === 0) return ''
  return `policy.events = ${literal({
    outbox: keys.outbox(),
    outbox_max: OUTBOX_MAX,
    life_ms: EVENT_LIFE_MS,
    told: keys.told(),
    limit_quiet_ms: LIMIT_QUIET_MS,
    wanted: Object.fromEntries(events.map((type) => [type, true])),
  })}\n`
}

/** The rules asked before a send, by scope in the order of SCOPES, as gate.lua reads them. */
export function luaGateRules(policy: Policy): string {
  return luaRules('gate', { scopes: SCOPES, rules: policy.rules, policy })
}

/** The budgets asked before a keyword is answered, by scope in the order of REPLY_SCOPES, as gate.lua reads them. */
export function luaReplyRules(policy: Policy): string {
  const rules = policy.rules.filter(({ counts }) => counts === 'spend')
  return luaRules('gate', { scopes: REPLY_SCOPES, rules, policy })
}

/**
 * The limits that the second message of a send is counted in, by scope in the order of SECOND_SCOPES, and where their
 * meters are, as second.lua reads them.
 */
export function luaSecondRules(policy: Policy, meters: Readonly<Record<string, string>>): string {
  const rules = policy.rules.filter(({ counts }) => counts === 'sends' || counts === 'spend')
  return `${luaRules('gate', { scopes: SECOND_SCOPES, rules, policy })}policy.meters = ${literal(meters)}\n`
}

/** The rules asked before a code is compared, by scope in the order of GUESS_SCOPES, as guess.lua reads them. */
export function luaGuessRules(policy: Policy): string {
  return luaRules('guess', { scopes: GUESS_SCOPES, rules: policy.guessRules, policy })
}

function luaRules(
  name: string,
  { scopes, rules, policy }: { scopes: readonly Scope[]; rules: readonly Rule[]; policy: Policy },
): string {
  // The rules of one hash, of both kinds and, of a prefix and its ranges, of both scopes: it lives as the longest window.
  const hashOf = (scope: Scope) => (scope === 'range' ? 'prefix' : scope)
  const ttlMs = (scope: Scope) =>
    lifeOf(
      [...policy.rules, ...policy.guessRules].filter((rule) => hashOf(rule.scope) === hashOf(scope)),
      0,
    )
  const asked = scopes.map((scope) => luaScope(scope, rules, ttlMs(scope)))
  return `policy.${name} = ${literal(asked)}\n`
}

/** The lines of our numbers by their keys, as line.lua reads them. */
export function luaLines(
  lines: readonly { key: string; paceKey: string; segmentMs: number; number?: string }[],
): string {
  const entries = lines.map(({ key, paceKey, segmentMs, number }) => [
    key,
    { pace: paceKey, segment_ms: segmentMs, number },
  ])
  return `policy.lines = ${literal(Object.fromEntries(entries))}\n`
}

function windowLimit({ name, max, windowMs }: WindowLimit): Value {
  return { name, max, window_ms: windowMs }
}

function luaScope(scope: Scope, rules: readonly Rule[], ttlMs: number): Value {
  const fields: string[] = []
  const own = rules.filter((rule) => rule.scope === scope)
  const asked = own.map((rule) => luaRule(rule, placeOf(fields, fieldsOf(rule))))
  return {
    fields,
    name: scope,
    rules: asked,
    ttl_ms: ttlMs,
    personal: !SHARED_SCOPES.includes(scope),
    asker: scope === 'ip' || scope === 'network',
  }
}

function luaRule(rule: Rule, at: number): Value {
  const shared = {
    name: rule.name,
    counts: rule.counts,
    at,
    window_ms: rule.windowMs,
    mode: rule.mode,
    refusal: refusalOfRule(rule),
  }
  if (rule.counts === 'conversion')
    return { ...shared, below_percent: rule.belowPercent, minimum: rule.minimum }
  const alarm = SHARED_SCOPES.includes(rule.scope) ? Math.ceil(rule.max * ALARM_SHARE) : undefined
  return { ...shared, max: rule.max, alarm }
}

/** Short, since each address and each prefix has some of them. */
const METERS: Record<Counted, string> = {
  sends: 's',
  spend: 'm',
  numbers: 'n',
  regions: 'r',
  wrong_checks: 'w',
}

/** The fields of a scope's hash that a rule reads: what it counts, and in how many seconds. Two may read the same. */
function fieldsOf(rule: Rule): readonly string[] {
  if (rule.counts === 'conversion') return ['matured', 'approved']
  return [`${METERS[rule.counts]}${rule.windowMs / 1_000}`]
}

/** Where they stand, from 1; added when they do not stand yet. */
function placeOf(fields: string[], wanted: readonly string[]): number {
  const known = fields.indexOf(wanted[0] ?? '')
  if (known >= 0) return known + 1
  return fields.push(...wanted) - wanted.length + 1
}

function lifeOf(rules: readonly Rule[], leastMs: number): number {
  return Math.ceil(Math.max(leastMs, ...rules.map(({ windowMs }) => windowMs)) * METER_LIFE)
}

function literal(value: Value): string {
  if (typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `{${value.map(literal).join(',')}}`
  const entries = Object.entries(value).filter(([, part]) => part !== undefined)
  return `{${entries.map(([name, part]) => `[${JSON.stringify(name)}]=${literal(part as Value)}`).join(',')}}`
}
