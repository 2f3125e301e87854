/** A stranger at the API's doors: with the address they come from, and numbers that lie where a test wants them. */
import { type Api, FORM_APPLICATION, type Headers, type Json, jsonOf } from '#test/api/api.ts'
import { destinationOf, wrongFor } from '#test/fixtures/store.ts'
import type { Code } from '#verification/code.ts'
import type { Destination } from '#verification/destination.ts'
import type { Rule } from '#verification/gate.ts'
import type { Application } from '#verification/verification.ts'

export const HOUR_MS = 3_600_000
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

let prefixes = 0

/** Numbers of a prefix nobody else in this file has: the limits of one never meet those of another. */
export function freshPrefix(): (index: number) => Destination {
  const prefix = 200 + (prefixes++ % 800)
  return (index) => destinationOf(`+1202${prefix}${String(index).padStart(4, '0')}`)
}

export const elsewhere = (): Destination => freshPrefix()(4_000)

/** Somebody with a browser, or a program, and nothing else. No socket is opened: the address is said to be theirs. */
export function strangerAt(api: Api, address = '203.0.113.7', headers: Record<string, string> = BROWSER) {
  const sent = { 'content-type': 'application/x-www-form-urlencoded', ...headers }
  const incoming = { socket: { remoteAddress: address }, headers: sent }
  const post = async (path: string, fields: Record<string, string>) => {
    const body = new URLSearchParams(fields).toString()
    return await api.app.request(path, { method: 'POST', body, headers: sent }, { incoming })
  }
  return {
    ask: (number: string, more: Record<string, string> = {}) => post('/request-auth', { number, ...more }),
    guess: (number: string, code: string) => post('/validate-auth', { number, auth_code: code }),
  }
}

/** The code of the newest verification of a number on the form, as the SMS would show it. */
export async function codeOnForm(api: Api, to: Destination): Promise<Code> {
  const { keys, vault } = api.store
  const tag = vault.tagDestination(to)
  const id = await api.store.redis.get(keys.pointers(FORM_APPLICATION, tag).concat('default'))
  return api.codeOf(id ?? '', FORM_APPLICATION)
}

/** Everything of an answer that a stranger sees, but for the number they typed themselves and the request's own id. */
export async function seenIn(response: Response, number: string): Promise<string> {
  const headers = [...response.headers].filter(([name]) => name !== 'x-request-id')
  const text = (await response.text()).replaceAll(number, 'NUMBER').replaceAll(number.slice(-4), 'LAST')
  return JSON.stringify([response.status, headers, text], undefined, 1)
}

export const START = '/v1/verifications'
export const SHOP = 'shop' as Application
export const as = (key: string): Headers => ({ Authorization: `Bearer ${key}` })

export function rule(
  scope: Rule['scope'],
  counts: 'sends' | 'numbers',
  max: number,
  mode: Rule['mode'] = 'block',
): Rule {
  return { name: `${scope}_test`, scope, counts, windowMs: HOUR_MS, max, mode }
}

/** The verdict of a check, or the code of what refused it. */
export async function verdictOf(response: Response): Promise<unknown> {
  const body: Json = JSON.parse(await response.text())
  return body.result ?? body.code
}

/** How often each word was said. */
export const tally = (words: readonly unknown[]) =>
  Object.fromEntries([...Map.groupBy(words, String)].map(([word, all]) => [word, all.length]))

export const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, index) => make(index))

/** What stops sends is not in question where codes are guessed. */
export const SENDS_FREE = { rules: [], resendWaitsMs: [0, 0, 0], sendLimits: [] }

/** A verification that a victim has begun, and what an attacker tries. */
export async function begin(api: Api, to: string = elsewhere(), more: object = {}) {
  const { id } = await jsonOf(await api.post(START, { to, ...more }), 202)
  const code = await api.codeOf(String(id))
  return { to, id, code, wrong: wrongFor(code), checks: `${START}/${id}/checks` }
}

/** Wrong codes until the verification has had all it takes. */
export async function exhaust(api: Api, { checks, wrong }: { checks: string; wrong: string }): Promise<void> {
  for (let tries = 0; tries < 5; tries++) await api.post(checks, { code: wrong })
}
