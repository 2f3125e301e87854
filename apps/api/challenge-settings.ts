/** The settings of challenges: how much work a proof takes, when the form asks for one, and which CAPTCHA there is. */
import type { CaptchaSettings } from '#captcha/captcha.ts'
import { VENDORS, type Vendor } from '#captcha/vendors.ts'
import { integer, type Kind, oneOf, type Reader } from '#runtime/env.ts'
import { CHALLENGE } from '#verification/policy.ts'

/** `off`: never, a start that needs one is refused. `demand`: when the store asks for it. `always`: before every start. */
export type FormChallengeMode = 'off' | 'demand' | 'always'

export type ChallengeSettings = {
  challengeBits: number
  formChallenge: FormChallengeMode
  captcha?: CaptchaSettings
}

const vendor: Kind<Vendor | undefined> = oneOf('turnstile', 'hcaptcha')
const siteKey: Kind<string> = {
  expected: 'a site key as the vendor gave it',
  parse: (text) => (/^[A-Za-z0-9_-]{8,128}$/.test(text) ? text : undefined),
}
const secret: Kind<string> = {
  expected: 'a secret as the vendor gave it',
  parse: (text) => (/^[!-~]{20,256}$/.test(text) ? text : undefined),
}
const hostname: Kind<string> = {
  expected: 'a host name such as verify.example.com',
  parse: (text) => (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text) ? text : undefined),
}

/** The secret goes there: in clear only to this machine, and never in production. */
function verifyAddress(production: boolean): Kind<string> {
  const plain = production ? '' : ', or http:// on 127.0.0.1'
  return {
    expected: `an address that starts with https://${plain}`,
    parse(text) {
      if (!URL.canParse(text)) return undefined
      const { protocol, hostname: host } = new URL(text)
      const loopback =
        !production && protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(host)
      return protocol === 'https:' || loopback ? text : undefined
    },
  }
}

export function readChallenges(reader: Reader): ChallengeSettings {
  const bits = integer(CHALLENGE.bitsMin, CHALLENGE.bitsMax)
  const captcha = readCaptcha(reader)
  return {
    challengeBits: reader.value('CHALLENGE_BITS', bits, CHALLENGE.bits),
    formChallenge: reader.value('FORM_CHALLENGE', oneOf('off', 'demand', 'always'), 'demand'),
    ...(captcha === undefined ? {} : { captcha }),
  }
}

const PARTS = ['CAPTCHA_SITE_KEY', 'CAPTCHA_SECRET'] as const

function readCaptcha(reader: Reader): CaptchaSettings | undefined {
  const name = reader.value('CAPTCHA', vendor, undefined)
  const own = {
    siteKey: reader.value('CAPTCHA_SITE_KEY', siteKey, ''),
    secret: reader.secret('CAPTCHA_SECRET', secret, ''),
    hostname: reader.value('CAPTCHA_HOSTNAME', hostname, ''),
    verifyUrl: reader.value('CAPTCHA_VERIFY_URL', verifyAddress(reader.production), ''),
  }
  if (name === undefined) {
    // Half a setting would leave the form without the CAPTCHA somebody counts on.
    const given = PARTS.some((part) => reader.has(part))
    if (given && !reader.has('CAPTCHA')) reader.problem('CAPTCHA', 'must be set where CAPTCHA_SECRET is')
    return undefined
  }
  for (const part of PARTS) if (!reader.has(part)) reader.problem(part, 'must be set where CAPTCHA is')
  if (reader.production && VENDORS[name].testSecret.test(own.secret)) {
    reader.problem('CAPTCHA_SECRET', 'is a secret for tests, which everybody knows')
  }
  return {
    vendor: name,
    siteKey: own.siteKey,
    secret: own.secret,
    ...(own.hostname === '' ? {} : { hostname: own.hostname }),
    ...(own.verifyUrl === '' ? {} : { verifyUrl: own.verifyUrl }),
  }
}
