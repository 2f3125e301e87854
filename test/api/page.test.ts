/** The guide's page for people: what went wrong stands beside its field, and whatever was typed stays text. */
import { describe, expect, it } from 'vitest'
import { sentenceOf } from '#api/sentences.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, wrongFor } from '#test/fixtures/store.ts'
import type { Policy } from '#verification/policy.ts'
import { refused } from '#verification/refusal.ts'
import { type Api, apiOn, FORM_APPLICATION } from './api.ts'

const connection = useRedis()
const BROWSER = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }

async function pageOf(response: Response, status: number): Promise<string> {
  expect(response.status).toBe(status)
  expect(response.headers.get('Content-Type')).toBe('text/html; charset=UTF-8')
  return response.text()
}

const inputOf = (page: string, id: string) => new RegExp(`<input id="${id}"[^>]*>`).exec(page)?.[0] ?? ''
const errorOf = (page: string, id: string) =>
  new RegExp(`<p class="error" id="${id}-error" role="alert">([^<]*)</p>`).exec(page)?.[1]

const request = (api: Api, number: string) => api.postForm('/request-auth', { number }, BROWSER)
const validate = (api: Api, number: string, auth_code: string) =>
  api.postForm('/validate-auth', { number, auth_code }, BROWSER)

async function requested(policy: Partial<Policy> = {}) {
  const api = apiOn(connection.redis, { policy })
  const number = freshDestination()
  const page = await pageOf(await request(api, number), 200)
  return { api, number, page, code: await api.codeOf(api.enqueued[0]?.verification ?? '', FORM_APPLICATION) }
}

describe('the page', () => {
  it('holds both forms, without a script, and says nothing is wrong', async () => {
    const page = await pageOf(await apiOn(connection.redis).get('/', BROWSER), 200)
    expect(page).toContain('<form method="post" action="/request-auth"')
    expect(page).toContain('<form method="post" action="/validate-auth"')
    expect(page).not.toMatch(/<script|\son\w+=|style="|javascript:|aria-invalid|class="error"/i)
    expect(page).toContain('<html lang="en">')
    expect(page).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">')
  })

  it('lets a phone fill in the number and the code', async () => {
    const page = await pageOf(await apiOn(connection.redis).get('/', BROWSER), 200)
    expect(inputOf(page, 'number')).toMatch(/name="number" type="tel" autocomplete="tel"/)
    expect(inputOf(page, 'code')).toMatch(
      /name="auth_code".*inputmode="numeric" autocomplete="one-time-code"/,
    )
  })

  it('has a label for every field', async () => {
    const page = await pageOf(await apiOn(connection.redis).get('/', BROWSER), 200)
    const ids = [...page.matchAll(/<input id="([^"]+)"/g)].map(([, id]) => id)
    expect(ids).toEqual(['number', 'check-number', 'code'])
    for (const id of ids) expect(page).toContain(`<label for="${id}">`)
  })

  it('brings its style as a file of its own, which the policy allows', async () => {
    const api = apiOn(connection.redis)
    expect(await (await api.get('/', BROWSER)).text()).toContain('<link rel="stylesheet" href="/style.css">')
    const style = await api.get('/style.css')
    expect(style.headers.get('Content-Type')).toBe('text/css; charset=utf-8')
    expect(await style.text()).toContain('body {')
  })
})

describe('after a request', () => {
  it('says where the code went, masked, and keeps the number for the check', async () => {
    const { page, number } = await requested()
    expect(page).toContain('Your code was sent')
    expect(page).toContain(`***${number.slice(-4)}`)
    expect(inputOf(page, 'check-number')).toContain(`value="${number}"`)
    expect(inputOf(page, 'code')).toContain('autofocus')
  })

  it.each([
    ['911', 'That number is too short. Type the whole number with its country code.'],
    ['abc', 'That is not a valid phone number.'],
    ['+19002345678', 'Codes are not sent to premium-rate numbers.'],
    ['+18002345678', 'Codes are not sent to toll-free numbers.'],
    ['+442079460000', 'That is a landline, which cannot receive an SMS.'],
    ['+447012345678', 'That kind of number cannot receive a code.'],
    ['+18762345678', 'Codes are not sent to numbers of that country.'],
  ])('for %s says why beside the number, and keeps it', async (number, sentence) => {
    const page = await pageOf(await request(apiOn(connection.redis), number), 400)
    expect(errorOf(page, 'number')).toBe(sentence)
    expect(inputOf(page, 'number')).toContain('aria-invalid="true" aria-describedby="number-error"')
    expect(inputOf(page, 'number')).toContain(`value="${number}"`)
    expect(page.match(/class="error"/g)).toHaveLength(1)
  })

  it('in the cooldown says how long to wait, beside the number', async () => {
    const { api, number } = await requested()
    const response = await request(api, number)
    expect(response.headers.get('Retry-After')).toBe('30')
    expect(errorOf(await pageOf(response, 429), 'number')).toBe(
      'A code was sent a moment ago. Try again in 30 seconds.',
    )
  })

  it.each([
    [1, '1 second'],
    [1_000, '1 second'],
    [1_001, '2 seconds'],
    [89_000, '89 seconds'],
    [90_000, '2 minutes'],
    [5_340_000, '89 minutes'],
    [5_400_000, '2 hours'],
  ])('a wait of %i ms reads: %s', (retryAfterMs, text) => {
    expect(sentenceOf({ ...refused('resend_cooldown'), retryAfterMs })).toBe(
      `A code was sent a moment ago. Try again in ${text}.`,
    )
  })
})

describe('after a check', () => {
  it('of the right code is all about the success', async () => {
    const { api, number, code } = await requested()
    const page = await pageOf(await validate(api, number, code), 200)
    expect(page).toContain('Success!')
    expect(page).not.toContain(number)
  })

  it('of a wrong code says so beside the code, and never shows what was typed', async () => {
    const { api, number, code } = await requested({ checksMax: 2 })
    const wrong = wrongFor(code)
    for (let tries = 0; tries < 3; tries++) {
      const page = await pageOf(await validate(api, number, wrong), 403)
      expect(errorOf(page, 'code')).toBe(
        'That code is not right, or no longer valid. Try again, or ask for a new one.',
      )
      expect(inputOf(page, 'code')).toContain('aria-invalid="true" aria-describedby="code-error"')
      expect(page).not.toContain(wrong)
    }
  })

  it('of no code says what one looks like', async () => {
    const { api, number } = await requested()
    const page = await pageOf(await validate(api, number, '12345'), 403)
    expect(errorOf(page, 'code')).toBe('A code is 6 digits.')
  })

  it('without a code asks for it and keeps the number', async () => {
    const { api, number } = await requested()
    const page = await pageOf(await api.postForm('/validate-auth', { number }, BROWSER), 403)
    expect(errorOf(page, 'code')).toBe('Type the code.')
  })

  it('of a bad number says so beside the number of that form', async () => {
    const page = await pageOf(await validate(apiOn(connection.redis), 'abc', '012345'), 403)
    expect(errorOf(page, 'check-number')).toBe('That is not a valid phone number.')
    expect(errorOf(page, 'number')).toBeUndefined()
  })
})

it.each(['"><script>alert(1)</script>', "' onfocus=alert(1) x='", '<b>&amp;</b>', '&quot;>'])(
  'what was typed stays text: %s',
  async (typed) => {
    for (const response of [
      await request(apiOn(connection.redis), typed),
      await validate(apiOn(connection.redis), typed, typed),
    ]) {
      const page = await response.text()
      expect(page).not.toMatch(/<script|<b>/)
      const value = /id="number"[^>]*?value="([^"]*)"/s.exec(page)?.[1] ?? ''
      expect(value).toBe(
        typed
          .replaceAll('&', '&amp;')
          .replaceAll('<', '&lt;')
          .replaceAll('>', '&gt;')
          .replaceAll('"', '&quot;')
          .replaceAll("'", '&#39;'),
      )
    }
  },
)
