/**
 * Asks a CAPTCHA's vendor whether a token is good: one POST to its siteverify, with a deadline, no redirect followed and
 * a bounded answer. Only a plain yes passes. Whatever the vendor does wrong is *unavailable*, never a yes.
 */
import { VENDORS, type Vendor, type VendorFacts } from './vendors.ts'

export type CaptchaSettings = {
  vendor: Vendor
  siteKey: string
  secret: string
  /** The host name the token must have been won on; any, when absent. */
  hostname?: string
  /** Instead of the vendor's own address. */
  verifyUrl?: string
}

/**
 * - `timeout`, `unreachable`: no answer in time, or none at all.
 * - `bad_answer`: another status than 200, a redirect, or no such JSON.
 * - `too_large`: an answer nobody needs to read to its end.
 * - `misconfigured`: the vendor refuses us, not the token, as with a wrong secret.
 * - `asker_gone`: whoever brought the token left before there was an answer.
 */
type Trouble = 'timeout' | 'unreachable' | 'bad_answer' | 'too_large' | 'misconfigured' | 'asker_gone'

export type CaptchaVerdict =
  | { kind: 'passed' }
  | { kind: 'failed'; reason: 'refused' | 'other_host' }
  | { kind: 'unavailable'; reason: Trouble }

/** What a page needs to show the widget. */
export type Widget = Pick<VendorFacts, 'script' | 'className' | 'field' | 'sources'> & { siteKey: string }

export type Captcha = {
  widget: Widget
  /** @param ip the person's address, where it is known: the vendor may use it */
  verify(token: string, options: { ip?: string; signal?: AbortSignal }): Promise<CaptchaVerdict>
}

const DEADLINE_MS = 2_000
/** The answers are some 300 bytes. */
const ANSWER_MAX_BYTES = 16 * 1024

export function createCaptcha(settings: CaptchaSettings): Captcha {
  const { siteKey, secret } = settings
  const facts = VENDORS[settings.vendor]
  const url = settings.verifyUrl ?? facts.verifyUrl

  return {
    widget: { ...facts, siteKey },
    async verify(token, { ip, signal }) {
      const body = new URLSearchParams({
        secret,
        response: token,
        ...(facts.takesSiteKey ? { sitekey: siteKey } : {}),
        ...(ip ? { remoteip: ip } : {}),
      })
      return judge(await askVendor(url, body, signal), facts, settings.hostname)
    },
  }
}

/** The vendor's JSON as far as it is believed, or what is wrong with it. */
type Answer = { success?: unknown; hostname?: unknown; 'error-codes'?: unknown }

async function askVendor(
  url: string,
  body: URLSearchParams,
  signal?: AbortSignal,
): Promise<Answer | Trouble> {
  const deadline = AbortSignal.timeout(DEADLINE_MS)
  const either = signal ? AbortSignal.any([deadline, signal]) : deadline
  try {
    return await readAnswer(await fetch(url, { method: 'POST', body, redirect: 'manual', signal: either }))
  } catch {
    if (signal?.aborted) return 'asker_gone'
    return deadline.aborted ? 'timeout' : 'unreachable'
  }
}

async function readAnswer(response: Response): Promise<Answer | Trouble> {
  if (response.status !== 200) {
    await response.body?.cancel()
    return 'bad_answer'
  }
  const text = await readText(response)
  return text === undefined ? 'too_large' : parse(text)
}

async function readText(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop early gives the rest of the answer up.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > ANSWER_MAX_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string): Answer | Trouble {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : 'bad_answer'
  } catch {
    return 'bad_answer'
  }
}

function judge(answer: Answer | Trouble, facts: VendorFacts, hostname: string | undefined): CaptchaVerdict {
  if (typeof answer === 'string') return unavailable(answer)
  if (answer.success === true) {
    const elsewhere = hostname !== undefined && answer.hostname !== hostname
    return elsewhere ? { kind: 'failed', reason: 'other_host' } : { kind: 'passed' }
  }
  if (answer.success !== false) return unavailable('bad_answer')
  const codes = Array.isArray(answer['error-codes']) ? answer['error-codes'] : []
  const ours = codes.some((code) => !facts.tokenFaults.includes(code))
  return ours ? unavailable('misconfigured') : { kind: 'failed', reason: 'refused' }
}

function unavailable(reason: Trouble): CaptchaVerdict {
  return { kind: 'unavailable', reason }
}
