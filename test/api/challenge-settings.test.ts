/** FORM_CHALLENGE, CHALLENGE_BITS and CAPTCHA: defaults, mistakes by name and never by value, and no half a CAPTCHA. */
import { describe, expect, it } from 'vitest'
import { readConfig } from '#api/config.ts'

const CAPTCHA = {
  CAPTCHA: 'turnstile',
  CAPTCHA_SITE_KEY: '0x4AAAA-site_key',
  CAPTCHA_SECRET: '0x4AAAAmarker-of-a-secret',
}
const PRODUCTION = { NODE_ENV: 'production' }

/** Mistakes of these settings alone; production misses others here. */
const mistakesIn = (env: Record<string, string>) =>
  readConfig(env).problems.filter((problem) => /^(CAPTCHA|CHALLENGE|FORM_)/.test(problem))
const namesIn = (env: Record<string, string>) => mistakesIn(env).map((problem) => problem.split(':')[0])

it('without a word of them a challenge is asked for on demand, takes 18 bits, and there is no CAPTCHA', () => {
  const { config } = readConfig({})
  expect(config).toMatchObject({ formChallenge: 'demand', challengeBits: 18 })
  expect(config.captcha).toBeUndefined()
})

it('a CAPTCHA is its vendor, its site key and its secret, and what else is set', () => {
  expect(readConfig(CAPTCHA).config.captcha).toEqual({
    vendor: 'turnstile',
    siteKey: CAPTCHA.CAPTCHA_SITE_KEY,
    secret: CAPTCHA.CAPTCHA_SECRET,
  })
  const more = {
    CAPTCHA_HOSTNAME: 'verify.example.com',
    CAPTCHA_VERIFY_URL: 'https://captcha.example/verify',
  }
  expect(readConfig({ ...CAPTCHA, ...more }).config.captcha).toMatchObject({
    hostname: 'verify.example.com',
    verifyUrl: 'https://captcha.example/verify',
  })
})

describe('a mistake is said by its name and never by its value:', () => {
  it.each([
    ['CHALLENGE_BITS', ['9', '25', '0', '-1', '18.0', 'marker'], ['10', '11', '23', '24']],
    ['FORM_CHALLENGE', ['on', 'Always', 'marker'], ['off', 'demand', 'always']],
    ['CAPTCHA', ['recaptcha', 'Turnstile', 'marker'], ['turnstile', 'hcaptcha']],
    ['CAPTCHA_SITE_KEY', ['short', 'with space in it', '"><script>', 'x'.repeat(129)], ['12345678']],
    ['CAPTCHA_SECRET', ['x'.repeat(19), 'a secret with spaces in it', 'x'.repeat(257)], ['x'.repeat(20)]],
    [
      'CAPTCHA_HOSTNAME',
      ['https://marker.example', 'Marker.example', 'a/b', '.a', 'a:80'],
      ['localhost', 'a.b'],
    ],
    [
      'CAPTCHA_VERIFY_URL',
      [
        'marker',
        'http://captcha.example/',
        'http://127.0.0.1.evil.example/',
        'http://10.0.0.1/',
        'ftp://127.0.0.1/',
      ],
      ['https://captcha.example/', 'http://127.0.0.1:9/', 'http://localhost/verify', 'http://[::1]:9/'],
    ],
  ])('%s', (name, wrong, right) => {
    for (const value of wrong) {
      const mistakes = mistakesIn({ ...CAPTCHA, [name]: value })
      expect({ value, names: mistakes.map((mistake) => mistake.split(':')[0]) }).toEqual({
        value,
        names: [name],
      })
      expect(mistakes.join()).not.toMatch(/marker|xxxx/)
    }
    for (const value of right)
      expect({ value, names: namesIn({ ...CAPTCHA, [name]: value }) }).toEqual({ value, names: [] })
  })
})

describe('half a CAPTCHA does not start:', () => {
  it.each(['CAPTCHA_SITE_KEY', 'CAPTCHA_SECRET'])('without %s', (name) => {
    expect(mistakesIn({ ...CAPTCHA, [name]: '' })).toEqual([`${name}: must be set where CAPTCHA is`])
  })

  it('without its vendor', () => {
    expect(mistakesIn({ ...CAPTCHA, CAPTCHA: '' })).toEqual(['CAPTCHA: must be set where CAPTCHA_SECRET is'])
  })
})

describe('in production', () => {
  it.each([
    ['turnstile', '1x0000000000000000000000000000000AA'],
    ['turnstile', '2x0000000000000000000000000000000AA'],
    ['turnstile', '3x0000000000000000000000000000000AA'],
    ['hcaptcha', '0x0000000000000000000000000000000000000000'],
  ])('the secret %s publishes for tests, %s, does not start', (vendor, secret) => {
    const env = { ...CAPTCHA, CAPTCHA: vendor, CAPTCHA_SECRET: secret }
    expect(namesIn(env)).toEqual([])
    expect(namesIn({ ...PRODUCTION, ...env })).toEqual(['CAPTCHA_SECRET'])
  })

  it('the secret goes nowhere in clear, this machine included', () => {
    const env = { ...PRODUCTION, ...CAPTCHA, CAPTCHA_VERIFY_URL: 'http://127.0.0.1:9/' }
    expect(namesIn(env)).toEqual(['CAPTCHA_VERIFY_URL'])
    expect(namesIn({ ...env, CAPTCHA_VERIFY_URL: 'https://captcha.example/' })).toEqual([])
  })
})
