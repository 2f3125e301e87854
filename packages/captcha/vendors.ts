/**
 * The vendors of CAPTCHAs this service knows: where each answers, what its widget needs on a page, and which of its
 * error codes speak of the person's token rather than of us. All that differs between them.
 */

export type Vendor = 'turnstile' | 'hcaptcha'

/** The form field a widget fills in. */
export type WidgetField = 'cf-turnstile-response' | 'h-captcha-response'

export type VendorFacts = {
  verifyUrl: string
  /** What the widget is on a page: its script, the class it looks for, the form field it fills in. */
  script: string
  className: string
  field: WidgetField
  /** What a page's Content-Security-Policy must let through for it, by directive. */
  sources: Readonly<Record<string, string>>
  /** Error codes that say the token is at fault. Any other, such as one about our secret, is not the person's. */
  tokenFaults: readonly string[]
  /** Whether the site key may be named, so that a token won under another one does not count. */
  takesSiteKey: boolean
  /** Published for tests: whoever knows it passes or fails as they like. */
  testSecret: RegExp
}

const CLOUDFLARE = 'https://challenges.cloudflare.com'
const HCAPTCHA = 'https://hcaptcha.com https://*.hcaptcha.com'

export const VENDORS: Readonly<Record<Vendor, VendorFacts>> = {
  // https://developers.cloudflare.com/turnstile/get-started/server-side-validation and /reference/content-security-policy
  turnstile: {
    verifyUrl: `${CLOUDFLARE}/turnstile/v0/siteverify`,
    script: `${CLOUDFLARE}/turnstile/v0/api.js`,
    className: 'cf-turnstile',
    field: 'cf-turnstile-response',
    sources: { 'script-src': CLOUDFLARE, 'frame-src': CLOUDFLARE },
    tokenFaults: ['missing-input-response', 'invalid-input-response', 'timeout-or-duplicate'],
    takesSiteKey: false,
    testSecret: /^[123]x0{30,}AA$/,
  },
  // https://docs.hcaptcha.com
  hcaptcha: {
    verifyUrl: 'https://api.hcaptcha.com/siteverify',
    // Without the second copy of the token it makes for those who come from reCAPTCHA: two would not fit into a body.
    script: 'https://js.hcaptcha.com/1/api.js?recaptchacompat=off',
    className: 'h-captcha',
    field: 'h-captcha-response',
    sources: {
      'script-src': HCAPTCHA,
      'frame-src': HCAPTCHA,
      'style-src': HCAPTCHA,
      'connect-src': HCAPTCHA,
    },
    tokenFaults: [
      'missing-input-response',
      'invalid-input-response',
      'expired-input-response',
      'already-seen-response',
      'invalid-or-already-seen-response',
    ],
    takesSiteKey: true,
    testSecret: /^0x0{40}$/,
  },
}
