/** Challenges on the guide's form: FORM_CHALLENGE and CAPTCHA, what the page shows, and what plain clients get. */
import { describe, expect, it } from 'vitest'
import { createCaptcha } from '#captcha/captcha.ts'
import { VENDORS, type Vendor } from '#captcha/vendors.ts'
import type { Verifications } from '#store/verifications.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { says, siteverify } from '#test/fixtures/siteverify.ts'
import { solve } from '#test/fixtures/solve.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { type Api, apiOn, demanding } from './api.ts'
import { complaintsAbout } from './document.ts'
import { listen } from './port.ts'

const connection = useRedis()
const BROWSER = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
const REQUEST = '/request-auth'
const CLOSED =
  "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

type Options = Parameters<typeof apiOn>[1]
type Mode = 'off' | 'demand' | 'always'

const formApi = (formChallenge: Mode, options: Options = {}) =>
  apiOn(connection.redis, { ...options, config: { formChallenge, pythonRoutes: true } })

/** A store that must not be asked. */
const silent = (verifications: Verifications): Verifications => ({
  ...verifications,
  start: () => Promise.reject(new Error('the store was asked')),
})

const policyOf = (response: Response) => response.headers.get('Content-Security-Policy')
const ask = (api: Api, number: string, more: Record<string, string> = {}) =>
  api.postForm(REQUEST, { number, ...more }, BROWSER)

/** The page of a challenge, as a browser reads it. */
async function shownIn(response: Response) {
  const page = await response.text()
  const [, token = '', bits = ''] =
    /<div class="challenge" data-token="([^"]+)" data-bits="(\d+)"/.exec(page) ?? []
  const error = /<div class="challenge"[\s\S]*?<p class="error" role="alert">([^<]*)</.exec(page)?.[1]
  const solve_ = () => ({
    challenge_token: token,
    challenge_solution: solve({ token, bits: Number(bits) }),
  })
  return { page, token, error, atOnce: page.includes('data-at-once'), solved: solve_ }
}

async function challenged(api: Api, number: string = freshDestination()) {
  const response = await ask(api, number)
  expect(response.status).toBe(429)
  return { number, response, ...(await shownIn(response)) }
}

describe.each<[Mode, Options]>([
  ['always', { before: silent }],
  ['demand', { before: demanding }],
])('FORM_CHALLENGE=%s: a start without a challenge', (mode, options) => {
  it('is the page again with one for that number, which the browser solves at once', async () => {
    const api = formApi(mode, options)
    const { number, page, token, atOnce, error } = await challenged(api)
    expect(token).toMatch(/^v1\./)
    expect({ atOnce, error }).toEqual({ atOnce: true, error: undefined })
    expect(page).toContain(`value="${number}"`)
    expect(page).toContain('<script src="/challenge.js" defer></script>')
    expect(page).toContain('<noscript>')
    expect(api.enqueued).toEqual([])
    expect(api.lines.at(-1)).toMatchObject({ status: 429, refusal: 'challenge_required' })
  })

  it('lets that page run our script and its worker, and nothing else', async () => {
    const { response } = await challenged(formApi(mode, options))
    expect(policyOf(response)).toBe(`${CLOSED}; script-src 'self'; worker-src 'self'`)
  })

  it('is 429 for a plain client, which cannot pass one', async () => {
    const api = formApi(mode, options)
    const number = freshDestination()
    for (const response of [await api.postForm(REQUEST, { number }), await api.post(REQUEST, { number })]) {
      expect([response.status, await response.text()]).toEqual([429, 'Too Many Requests'])
      expect(response.headers.get('Retry-After')).toBeNull()
      expect(policyOf(response)).toBe(CLOSED)
      const { status, headers } = response
      const answer = { status, headers, type: 'text/plain', body: 'Too Many Requests' }
      expect(complaintsAbout({ path: REQUEST, method: 'post', ...answer })).toEqual([])
    }
    expect(await (await api.get(`${REQUEST}?number=${number.slice(1)}`)).text()).toBe('429')
  })

  it('of a bad number is told so, and not made to work first', async () => {
    const response = await ask(formApi(mode, options), '+19002345678')
    expect(response.status).toBe(400)
    expect(await response.text()).not.toContain('class="challenge"')
  })

  it('sent by the page without a script is the same page again, with its sentence', async () => {
    const api = formApi(mode, options)
    const { number, token } = await challenged(api)
    const response = await ask(api, number, { challenge_token: token, challenge_solution: '' })
    const again = await shownIn(response)
    expect(again.atOnce).toBe(true)
    expect(again.page).toContain('turn on JavaScript')
  })
})

describe.each<[Mode, Options]>([
  ['always', {}],
  ['demand', { before: demanding }],
])('FORM_CHALLENGE=%s: a start with one', (mode, options) => {
  it('solved is taken, and the page is closed again', async () => {
    const api = formApi(mode, options)
    const { number, solved } = await challenged(api)
    const response = await ask(api, number, solved())
    expect(response.status).toBe(200)
    expect(policyOf(response)).toBe(CLOSED)
    const page = await response.text()
    expect(page).toContain('Your code was sent')
    expect(page).not.toMatch(/<script|class="challenge"/)
    expect(api.enqueued).toHaveLength(1)
  })

  it('that was used already asks for another, and waits for the person', async () => {
    const api = formApi(mode, { ...options, policy: { resendWaitsMs: [0, 0] } })
    const { number, solved, token } = await challenged(api)
    const fields = solved()
    await ask(api, number, fields)
    const again = await shownIn(await ask(api, number, fields))
    expect(again).toMatchObject({
      atOnce: false,
      error: 'That was used already. Press the button to try again.',
    })
    expect(again.token).not.toBe(token)
    expect((await ask(api, number, again.solved())).status).toBe(200)
  })

  it.each([
    ['for another number', (fields: Record<string, string>) => ({ ...fields, number: freshDestination() })],
    ['not solved', (fields: Record<string, string>) => ({ ...fields, challenge_solution: 'x' })],
  ])('%s asks for another, and waits for the person', async (_, change) => {
    const api = formApi(mode, options)
    const { number, solved } = await challenged(api)
    const response = await api.postForm(REQUEST, change({ number, ...solved() }), BROWSER)
    expect(response.status).toBe(429)
    const again = await shownIn(response)
    expect(again).toMatchObject({ atOnce: false, error: expect.stringMatching(/^That took too long/) })
    expect(again.page).toContain('<title>Error: Verify your phone</title>')
    expect(api.enqueued).toEqual([])
    expect(api.lines.at(-1)).toMatchObject({ refusal: 'challenge_failed' })
  })

  it('that is too old asks for another', async () => {
    let now = Date.now()
    const api = formApi(mode, { ...options, now: () => now })
    const { number, solved } = await challenged(api)
    now += 120_000
    expect((await ask(api, number, solved())).status).toBe(429)
    expect(api.lines.at(-1)).toMatchObject({ reason: 'challenge_expired' })
  })
})

describe('a challenge of the form is for the network it was given out to:', () => {
  const proxied = { formChallenge: 'always', trustedProxies: ['127.0.0.0/8'] } as const

  it.each([
    ['203.0.113.9', '203.0.113.9', 200],
    ['203.0.113.9', '203.0.113.10', 429],
    ['2001:db8:0:1::1', '2001:db8:0:1:ffff::1', 200],
    ['2001:db8:0:1::1', '2001:db8:0:2::1', 429],
  ])('given to %s and sent by %s it is %i', async (given, sentBy, status) => {
    const api = apiOn(connection.redis, { config: proxied })
    const { origin } = await listen(api.app)
    const post = (ip: string, fields: Record<string, string>) =>
      fetch(`${origin}${REQUEST}`, {
        method: 'POST',
        body: new URLSearchParams(fields),
        headers: { ...BROWSER, 'X-Forwarded-For': ip },
      })
    const number = freshDestination()
    const shown = await shownIn(await post(given, { number }))
    expect((await post(sentBy, { number, ...shown.solved() })).status).toBe(status)
  })
})

describe('FORM_CHALLENGE=demand', () => {
  it('asks for nothing while the store does not', async () => {
    const api = formApi('demand')
    const response = await ask(api, freshDestination())
    expect([response.status, policyOf(response)]).toEqual([200, CLOSED])
  })
})

describe('FORM_CHALLENGE=off', () => {
  it('shows no challenge: a start that needs one is refused with a sentence', async () => {
    const api = formApi('off', { before: demanding })
    const response = await ask(api, freshDestination())
    expect([response.status, policyOf(response)]).toEqual([429, CLOSED])
    const page = await response.text()
    expect(page).toContain('Codes cannot be sent to this number right now.')
    expect(page).not.toContain('class="challenge"')
  })

  it('lets nothing that is sent along count', async () => {
    const shown = await challenged(formApi('always'))
    const api = formApi('off', { before: demanding })
    expect((await ask(api, shown.number, shown.solved())).status).toBe(429)
  })
})

const secret = 'the-secret-of-the-tests'

async function captchaApi(
  mode: Mode,
  answer: Parameters<typeof siteverify>[0],
  more: Options & { vendor?: Vendor } = {},
) {
  const { vendor = 'turnstile', ...options } = more
  const { url, asked } = await siteverify(answer)
  const captcha = createCaptcha({ vendor, siteKey: 'the-site-key', secret, verifyUrl: url })
  return { api: formApi(mode, { ...options, captcha }), asked, field: VENDORS[vendor].field }
}

describe.each<[Vendor, string, RegExp]>([
  [
    'turnstile',
    `${CLOSED}; script-src https://challenges.cloudflare.com; frame-src https://challenges.cloudflare.com`,
    /<script src="https:\/\/challenges\.cloudflare\.com\/turnstile\/v0\/api\.js" async defer><\/script>/,
  ],
  [
    'hcaptcha',
    `${CLOSED.replace("style-src 'self'", "style-src 'self' https://hcaptcha.com https://*.hcaptcha.com")}; script-src https://hcaptcha.com https://*.hcaptcha.com; frame-src https://hcaptcha.com https://*.hcaptcha.com; connect-src https://hcaptcha.com https://*.hcaptcha.com`,
    /<script src="https:\/\/js\.hcaptcha\.com\/1\/api\.js\?recaptchacompat=off" async defer><\/script>/,
  ],
])('CAPTCHA=%s', (vendor, policy, script) => {
  it('shows the widget where the challenge stands, and opens the policy for that vendor alone', async () => {
    const { api } = await captchaApi('demand', says({}), { before: demanding, vendor })
    const response = await ask(api, freshDestination())
    expect([response.status, policyOf(response)]).toEqual([429, policy])
    const page = await response.text()
    expect(page).toMatch(script)
    expect(page).toContain(`<div class="${VENDORS[vendor].className}" data-sitekey="the-site-key"></div>`)
    expect(page).not.toContain('data-token')
    expect(page).not.toContain(secret)
  })

  it('takes the token of its own field', async () => {
    const { api, asked, field } = await captchaApi('always', says({ success: true }), { vendor })
    expect((await ask(api, freshDestination(), { [field]: 'the token' })).status).toBe(200)
    expect(asked.map(({ fields }) => fields.response)).toEqual(['the token'])
    expect(api.enqueued).toHaveLength(1)
  })
})

describe('with a CAPTCHA', () => {
  it('before every start, the widget stands on the page from the beginning, and stays', async () => {
    const { api } = await captchaApi('always', says({ success: true }))
    for (const response of [
      await api.get('/', BROWSER),
      await ask(api, '+19002345678'),
      await ask(api, freshDestination(), { 'cf-turnstile-response': 'token' }),
      await api.postForm('/validate-auth', { number: freshDestination(), auth_code: '000000' }, BROWSER),
    ]) {
      expect(policyOf(response)).toContain('https://challenges.cloudflare.com')
      expect(await response.text()).toContain('class="cf-turnstile"')
    }
  })

  it('only on demand, the page is closed until then', async () => {
    const { api } = await captchaApi('demand', says({ success: true }))
    const response = await api.get('/', BROWSER)
    expect(policyOf(response)).toBe(CLOSED)
    expect(await response.text()).not.toContain('cf-turnstile')
  })

  it('a page that is done shows none', async () => {
    const { api } = await captchaApi('always', says({ success: true }))
    const number = freshDestination()
    await ask(api, number, { 'cf-turnstile-response': 'token' })
    const code = await api.codeOf(api.enqueued[0]?.verification ?? '', 'form' as never)
    const response = await api.postForm('/validate-auth', { number, auth_code: code }, BROWSER)
    expect([response.status, policyOf(response)]).toEqual([200, CLOSED])
  })

  it.each<[string, Parameters<typeof siteverify>[0]]>([
    ['answers 500', says({ success: true }, 500)],
    ['redirects', (response) => void response.writeHead(302, { Location: '/yes' }).end()],
    ['talks nonsense', (response) => void response.end('success')],
    ['is cut off', (response) => void response.destroy()],
    ['refuses our secret', says({ success: false, 'error-codes': ['invalid-input-secret'] })],
  ])('nothing is sent while the vendor %s: 503, and a sentence', async (_, answer) => {
    const { api } = await captchaApi('always', answer, { before: silent })
    const token = { 'cf-turnstile-response': 'token' }
    const number = freshDestination()
    const response = await ask(api, number, token)
    expect(response.status).toBe(503)
    const page = await response.text()
    expect(page).toContain('The service cannot answer right now.')
    expect(page).toContain(`value="${number}"`)
    const plain = await api.postForm(REQUEST, { number, ...token })
    expect([plain.status, await plain.text()]).toEqual([500, 'Error sending code via SMS'])
    expect(api.enqueued).toEqual([])
    expect(api.lines.at(-1)).toMatchObject({ refusal: 'service_unavailable', level: 'warn' })
  })

  it('a token that the vendor refuses is asked for again', async () => {
    const { api } = await captchaApi('always', says({ success: false }), { before: silent })
    const response = await ask(api, freshDestination(), { 'cf-turnstile-response': 'token' })
    expect(response.status).toBe(429)
    expect((await shownIn(response)).error).toBe('That did not work. Please try once more.')
  })

  it('a token is good for one start, whatever the vendor says of it', async () => {
    const { api } = await captchaApi('always', says({ success: true }))
    const token = { 'cf-turnstile-response': 'token' }
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(api, freshDestination(), token)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(api.enqueued).toHaveLength(1)
  })

  it('a solved proof of work counts for nothing where a CAPTCHA is set up', async () => {
    const shown = await challenged(formApi('always'))
    const { api, asked } = await captchaApi('always', says({ success: true }), { before: silent })
    const response = await ask(api, shown.number, shown.solved())
    expect(response.status).toBe(429)
    expect(await response.text()).toContain('class="cf-turnstile"')
    expect(asked).toEqual([])
  })

  it('the other vendor’s field counts for nothing', async () => {
    const { api, asked } = await captchaApi('always', says({ success: true }), { before: silent })
    expect((await ask(api, freshDestination(), { 'h-captcha-response': 'token' })).status).toBe(429)
    expect(asked).toEqual([])
  })
})

it('the script is served as one, under the closed policy', async () => {
  const response = await formApi('demand').get('/challenge.js')
  expect(response.headers.get('Content-Type')).toBe('text/javascript; charset=utf-8')
  expect(policyOf(response)).toBe(CLOSED)
  expect(await response.text()).toContain('postMessage')
})
