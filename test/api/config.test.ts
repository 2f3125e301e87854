/** The API's configuration: defaults, every mistake by name and all at once, never a value, and what production asks. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readConfig } from '#api/config.ts'
import { DEFAULT_POLICY } from '#verification/policy.ts'

const keyOf = (bytes: number) =>
  Buffer.from(Array.from({ length: bytes }, (_, index) => index * 7)).toString('base64')
const SECRET = keyOf(32)
const OTHER_SECRET = Buffer.from(SECRET, 'base64').reverse().toString('base64')
const THIRD_SECRET = Buffer.from(SECRET, 'base64')
  .subarray()
  .fill('third key of the tests', 5, 27)
  .toString('base64')
const KEY = 'kk-0123456789abcdefghijklmnopqrst'.slice(0, 32)
const API_KEY = `shop:${KEY}`
const NINE_SIGNS = 'kkabcdefghaabbccddeeffgghhkkabka'
const PRODUCTION = {
  NODE_ENV: 'production',
  REDIS_URL: 'redis://redis:6379',
  CODE_KEYS: `k1:${SECRET}`,
  DESTINATION_KEYS: `d1:${OTHER_SECRET}`,
  API_KEYS: API_KEY,
  SIGNALWIRE_NUMBER: '+12025550199',
}

/** What a laptop without settings runs on. */
const laptop = readConfig({}).config
const PUBLIC_KEYS = {
  code: laptop.codeKeys[0]?.secret.toString('base64') ?? '',
  destination: laptop.destinationKeys[0]?.secret.toString('base64') ?? '',
}

const folder = mkdtempSync(join(tmpdir(), 'sms-2fa-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function fileWith(text: string): string {
  const file = join(folder, `secret-${Math.random()}`)
  writeFileSync(file, text)
  return file
}

const namesOf = (problems: readonly string[]) => problems.map((problem) => problem.split(':')[0])

it('an empty environment is a working API on 127.0.0.1:3000, open, with the form and without the Python routes', () => {
  const { config, problems } = readConfig({})
  expect(problems).toEqual([])
  expect(config).toMatchObject({
    production: false,
    host: '127.0.0.1',
    port: 3000,
    redisUrl: 'redis://127.0.0.1:6379',
    redisPrefix: '2fa',
    logLevel: 'info',
    apiKeys: [],
    apiKeysFile: '',
    keysInRedis: true,
    maxConnections: 2_000,
    publicForm: true,
    pythonRoutes: false,
    regions: new Set(['US', 'CA']),
    country: 'US',
    trustedProxies: [],
    policy: DEFAULT_POLICY,
    shutdownDeadlineMs: 12_000,
  })
})

it('a variable that is set to nothing is not set', () => {
  expect(readConfig({ PORT: '', API_KEYS: '', REDIS_URL: '' }).problems).toEqual([])
})

describe('a mistake is said by its name and never by its value:', () => {
  it.each([
    ['PORT', ['-1', '65536', '3000.5', '0x10', 'marker', ' 80']],
    ['REDIS_URL', ['http://marker:6379', 'marker', '127.0.0.1:6379']],
    ['REDIS_PREFIX', ['a'.repeat(21), 'UPPER', 'a:b', '{a}']],
    ['LOG_LEVEL', ['trace', 'INFO', 'marker']],
    [
      'API_KEYS',
      [
        'marker',
        KEY,
        `shop:${KEY.slice(1)}`,
        `Shop:${KEY}`,
        `${API_KEY},`,
        `:${KEY}`,
        `form:${KEY}`,
        `form/check+admin:${KEY}`,
        `shop:${KEY},bank:${KEY}`,
        `shop:${KEY},shop/check:${KEY}`,
        `shop/:${KEY}`,
        `shop/chek:${KEY}`,
        `shop/Send:${KEY}`,
        `shop/send,check:${KEY}`,
        `shop/send+send:${KEY}`,
        `shop/send+check+:${KEY}`,
        `/send:${KEY}`,
        `shop:${'k'.repeat(64)}`,
        `shop:${'changeme'.repeat(4)}`,
        `shop:${'0123456789abcdef'.repeat(2)}`,
        `shop:${'kkabcdefghi'.repeat(3)}k`,
        `shop:${NINE_SIGNS}`,
      ],
    ],
    [
      'CODE_KEYS',
      [
        'marker',
        `toolong:${SECRET}`,
        SECRET,
        'k1:c2hvcnQ=',
        `k1:${'A'.repeat(43)}=`,
        `k1:${Buffer.alloc(32, '0123456789abcdef').toString('base64')}`,
        `k2:${SECRET},k1:${SECRET}`,
      ],
    ],
    [
      'DESTINATION_KEY',
      ['marker', 'c2hvcnQ=', Buffer.alloc(32, 'ab').toString('base64'), keyOf(31), keyOf(33), `${SECRET}x`],
    ],
    ['CODE_TTL_SECONDS', ['119', '601', '0', '1e2', 'marker']],
    ['CHECKS_MAX', ['0', '11', 'marker']],
    ['LIMIT_IP_WRONG_HOUR', ['20:challenge', '0', '20:', '20:block:block', 'marker']],
    ['WRONG_IN_A_ROW_MAX', ['19', '101', 'marker']],
    ['LIMIT_NUMBER_10_MINUTES', ['0', '51', 'off', '5:block', '5:observe', '-1', 'marker']],
    ['LIMIT_NUMBER_DAY', ['0', '51', 'off', '10:challenge', '1e1', 'marker']],
    ['LIMIT_NUMBER_WRONG_HOUR', ['2', '101', 'off', '10:observe', 'marker']],
    ['LIMIT_NUMBER_WRONG_DAY', ['2', '101', 'off', '20:', 'marker']],
    [
      'RESEND_WAITS_SECONDS',
      ['14', '0', '301', '30,', '30,60,off', '30;60', '15,15,15,15,15,15', '30,60,151', '240', 'marker'],
    ],
    ['PAYMENT_WRONG_MAX', ['0', '6', 'off', 'marker']],
    ['PAYMENT_BLOCK_SECONDS', ['59', '86401', 'off', 'marker']],
    ['RESEND_CODE', ['Same', 'marker']],
    ['UNKNOWN', ['retry', 'marker']],
    ['PUBLIC_FORM', ['true', '1', 'ON', 'marker']],
    ['GUIDE_PYTHON_ROUTES', ['yes', 'marker']],
    [
      'TRUSTED_PROXIES',
      ['marker', '10.0.0.0/33', '10.0.0', '10.0.0.0/', '10.0.0.0/8/8', '::1/129', 'localhost'],
    ],
    ['ALLOWED_REGIONS', ['us', 'USA', 'US,', 'US;CA', 'marker']],
    ['API_KEYS_IN_REDIS', ['yes', 'ON', 'marker']],
    ['MAX_CONNECTIONS', ['0', '65536', '1e3', 'marker']],
    ['SHUTDOWN_DEADLINE_SECONDS', ['0', '301', 'marker']],
    ['NODE_ENV', ['prod', 'Production', 'productionproduction', 'marker']],
    [
      'SIGNALWIRE_NUMBER',
      [
        '2025550199',
        '+1 202 555 0199',
        'marker',
        '+12025550199,',
        '+12025550199:marker',
        '+12025550199:0',
        '+12025550199,+12025550199:6',
      ],
    ],
    ['SENDS_PER_SECOND', ['0', '-1', '4/s', '100001', '1.234', 'marker']],
  ])('%s', (name, values) => {
    for (const value of values) {
      const { problems } = readConfig({ [name]: value })
      expect({ value, names: namesOf(problems) }).toEqual({ value, names: [name] })
      const said = problems.join('\n').slice(name.length)
      expect(said).not.toMatch(/marker|kk|chek|c2hvcnQ/)
      expect(said).not.toContain(SECRET)
    }
  })
})

it.each<[Record<string, string>, number]>([
  [{}, 125],
  [{ LIMIT_OVERALL_DAY: '50000' }, 125],
  [{ LIMIT_OVERALL_DAY: '100' }, 25],
  [{ LIMIT_OVERALL_DAY: '3' }, 1],
  [{ LIMIT_OVERALL_DAY: 'off' }, 125],
  [{ LIMIT_OVERALL_DAY: '50000', LIMIT_FORM_DAY: '2000' }, 2_000],
  [{ LIMIT_OVERALL_DAY: '100', LIMIT_FORM_DAY: '90' }, 90],
])('with %j the form may send %i a day', (set, max) => {
  const { config, problems } = readConfig(set)
  expect(problems).toEqual([])
  expect(config.policy.rules.find(({ name }) => name === 'form_day')).toMatchObject({ max, mode: 'block' })
})

it('the limits of a number are what they are set to', () => {
  const { config } = readConfig({
    LIMIT_NUMBER_10_MINUTES: '2',
    LIMIT_NUMBER_DAY: '3',
    LIMIT_NUMBER_WRONG_HOUR: '4',
    LIMIT_NUMBER_WRONG_DAY: '5',
    RESEND_WAITS_SECONDS: '45, 90',
    PAYMENT_WRONG_MAX: '2',
    PAYMENT_BLOCK_SECONDS: '3600',
  })
  const { sendLimits, wrongCheckLimits, resendWaitsMs, payments } = config.policy
  expect(sendLimits).toEqual([
    { name: 'number_10_minutes', max: 2, windowMs: 600_000 },
    { name: 'number_day', max: 3, windowMs: 86_400_000 },
  ])
  expect(wrongCheckLimits).toEqual([
    { name: 'number_wrong_hour', max: 4, windowMs: 3_600_000 },
    { name: 'number_wrong_day', max: 5, windowMs: 86_400_000 },
  ])
  expect(resendWaitsMs).toEqual([45_000, 90_000])
  expect(payments).toMatchObject({ wrongMax: 2, blockMs: 3_600_000 })
})

it.each([
  ['300', [30, 60, 120]],
  ['270', [30, 60]],
  ['150', [30]],
  ['120', [30]],
])('waits that are not set are as many as leave the last code of %s s time to be typed', (ttl, waits) => {
  const { resendWaitsMs } = readConfig({ CODE_TTL_SECONDS: ttl }).config.policy
  expect(resendWaitsMs.map((ms) => ms / 1_000)).toEqual(waits)
})

it('at the edges of its ranges a value is taken', () => {
  for (const good of [
    { PORT: '0' },
    { PORT: '65535' },
    { CODE_TTL_SECONDS: '120' },
    { CODE_TTL_SECONDS: '600' },
    { CHECKS_MAX: '1' },
    { CHECKS_MAX: '10' },
    { LIMIT_NUMBER_10_MINUTES: '1', LIMIT_NUMBER_DAY: '50' },
    { LIMIT_NUMBER_10_MINUTES: '50', LIMIT_NUMBER_DAY: '1' },
    { LIMIT_NUMBER_WRONG_HOUR: '3', LIMIT_NUMBER_WRONG_DAY: '100' },
    { LIMIT_NUMBER_WRONG_HOUR: '100', LIMIT_NUMBER_WRONG_DAY: '3' },
    { RESEND_WAITS_SECONDS: '15' },
    { RESEND_WAITS_SECONDS: '30, 60, 149' },
    { RESEND_WAITS_SECONDS: '300,100,100,15,24', CODE_TTL_SECONDS: '600' },
    { PAYMENT_WRONG_MAX: '1', PAYMENT_BLOCK_SECONDS: '86400' },
    { PAYMENT_WRONG_MAX: '5', PAYMENT_BLOCK_SECONDS: '60' },
    { MAX_CONNECTIONS: '1' },
    { MAX_CONNECTIONS: '65535' },
    { SHUTDOWN_DEADLINE_SECONDS: '1' },
    { SHUTDOWN_DEADLINE_SECONDS: '300' },
    { TRUSTED_PROXIES: '10.0.0.0/8, ::1,fd00::/8,192.0.2.1/32' },
    { REDIS_URL: 'rediss://user:secret@redis:6380/2' },
  ]) {
    expect(readConfig(good).problems).toEqual([])
  }
})

it('all mistakes are said at once', () => {
  const { problems } = readConfig({
    PORT: 'x',
    CHECKS_MAX: '99',
    PUBLIC_FORM: 'maybe',
    CODE_KEYS: 'x',
    LOG_LEVEL: 'x',
  })
  expect(new Set(namesOf(problems))).toEqual(
    new Set(['PORT', 'CHECKS_MAX', 'PUBLIC_FORM', 'CODE_KEYS', 'LOG_LEVEL']),
  )
})

it('two code keys of one name are a mistake', () => {
  expect(namesOf(readConfig({ CODE_KEYS: `k1:${SECRET},k1:${OTHER_SECRET}` }).problems)).toEqual([
    'CODE_KEYS',
  ])
})

it.each([
  ['two keys of one name', `k1:${SECRET},k1:${OTHER_SECRET}`, 'two keys have the same name'],
  ['one key twice', `k1:${SECRET},k2:${SECRET}`, 'the same key stands there twice'],
])('%s in DESTINATION_KEYS is a mistake', (_, keys, what) => {
  expect(readConfig({ DESTINATION_KEYS: keys }).problems).toEqual([`DESTINATION_KEYS: ${what}`])
})

it('the name of before is refused with what to write instead, and never by its value', () => {
  const { problems } = readConfig({
    ...PRODUCTION,
    DESTINATION_KEYS: undefined,
    DESTINATION_KEY: OTHER_SECRET,
  })
  expect(problems).toEqual([
    'DESTINATION_KEY: is DESTINATION_KEYS now: write DESTINATION_KEYS=k1:KEY with the same key',
    'DESTINATION_KEYS: must be set when NODE_ENV=production',
  ])
})

it('one secret for codes and numbers is a mistake', () => {
  const { problems } = readConfig({
    CODE_KEYS: `k2:${OTHER_SECRET},k1:${SECRET}`,
    DESTINATION_KEYS: `d1:${SECRET}`,
  })
  expect(problems).toEqual(['DESTINATION_KEYS: must be other keys than those of CODE_KEYS'])
})

describe('API_KEYS', () => {
  const read = (API_KEYS: string) => readConfig({ API_KEYS })

  it('names holders and scopes, and holds digests instead of keys', () => {
    const { config, problems } = read(`shop:${KEY}, shop/check:${KEY}2,ops/read+admin:${KEY}3`)
    expect(problems).toEqual([])
    expect(config.apiKeys.map(({ application, scopes }) => [application, ...scopes])).toEqual([
      ['shop', 'send', 'check', 'read'],
      ['shop', 'check'],
      ['ops', 'read', 'admin'],
    ])
    expect(JSON.stringify(config)).not.toContain(KEY)
  })

  it.each([
    ['with a colon', `${KEY.slice(1)}:`],
    ['that ends as scopes would', `${KEY}:send+check`],
    ['with a slash', `${KEY}/check:x`],
    ['of ten different signs', NINE_SIGNS.replace('ka', 'kz')],
    ['of 32 characters in hex', '00112233445566778899aabbccddeeff'],
    ['of 32 bytes in hex', '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
  ])('takes a key %s as it stands', (_, key) => {
    const { config, problems } = read(`shop:${key}`)
    expect(problems).toEqual([])
    expect(config.apiKeys[0]?.digest).toBe(createHash('sha256').update(key).digest('base64url'))
  })
})

describe('production', () => {
  it('starts with everything set, and with the form off', () => {
    const { config, problems } = readConfig(PRODUCTION)
    expect(problems).toEqual([])
    expect(config).toMatchObject({ production: true, publicForm: false, apiKeys: [{ application: 'shop' }] })
  })

  it.each(['REDIS_URL', 'CODE_KEYS', 'DESTINATION_KEYS', 'SIGNALWIRE_NUMBER'])(
    'does not start without %s',
    (name) => {
      const { problems } = readConfig({ ...PRODUCTION, [name]: undefined })
      expect(problems).toEqual([`${name}: must be set when NODE_ENV=production`])
    },
  )

  it.each([undefined, 'off'])('does not start without API_KEYS when API_KEYS_IN_REDIS is %s', (inRedis) => {
    const { problems } = readConfig({ ...PRODUCTION, API_KEYS: undefined, API_KEYS_IN_REDIS: inRedis })
    expect(problems).toEqual(['API_KEYS: must be set when NODE_ENV=production, or API_KEYS_IN_REDIS=on'])
  })

  it('starts without API_KEYS when the keys of Redis count, and with both', () => {
    for (const API_KEYS of [undefined, API_KEY]) {
      const { config, problems } = readConfig({ ...PRODUCTION, API_KEYS, API_KEYS_IN_REDIS: 'on' })
      expect([problems, config.keysInRedis]).toEqual([[], true])
    }
  })

  it('lets no key of Redis count where nobody said so', () => {
    expect(readConfig(PRODUCTION).config.keysInRedis).toBe(false)
  })

  it.each([
    ['CODE_KEYS', `k1:${PUBLIC_KEYS.code}`],
    ['DESTINATION_KEYS', `d1:${PUBLIC_KEYS.destination}`],
  ])('does not start with the development key as %s', (name, value) => {
    expect(namesOf(readConfig({ ...PRODUCTION, [name]: value }).problems)).toEqual([name])
  })

  it('says everything that is missing at once', () => {
    expect(new Set(namesOf(readConfig({ NODE_ENV: 'production' }).problems))).toEqual(
      new Set(['REDIS_URL', 'CODE_KEYS', 'DESTINATION_KEYS', 'API_KEYS', 'SIGNALWIRE_NUMBER']),
    )
  })

  it('takes every secret from a file', () => {
    const { config, problems } = readConfig({
      NODE_ENV: 'production',
      REDIS_URL_FILE: fileWith('redis://redis:6379\n'),
      CODE_KEYS_FILE: fileWith(`k2:${SECRET},k1:${THIRD_SECRET}\n`),
      DESTINATION_KEYS_FILE: fileWith(`d1:${OTHER_SECRET}\n`),
      API_KEYS_FILE: fileWith(`${API_KEY}\n`),
      SIGNALWIRE_NUMBER: '+12025550199',
    })
    expect(problems).toEqual([])
    expect(config.codeKeys.map(({ id }) => id)).toEqual(['k2', 'k1'])
    expect(config.redisUrl).toBe('redis://redis:6379')
  })
})

describe('a secret’s file', () => {
  it('that is not there is said by the variable’s name, not by its path', () => {
    const { problems } = readConfig({ API_KEYS_FILE: '/nowhere/marker' })
    expect(problems).toEqual(['API_KEYS_FILE: the file it names cannot be read'])
  })

  it('beside the variable itself is a mistake', () => {
    const { problems } = readConfig({ API_KEYS: API_KEY, API_KEYS_FILE: fileWith(API_KEY) })
    expect(problems).toEqual(['API_KEYS: set either API_KEYS or API_KEYS_FILE, not both'])
  })

  it.each(['API_KEYS', 'CODE_KEYS', 'DESTINATION_KEYS', 'REDIS_URL'])(
    'that is empty is a mistake: %s',
    (name) => {
      expect(namesOf(readConfig({ [`${name}_FILE`]: fileWith('\n') }).problems)).toEqual([`${name}_FILE`])
    },
  )
})

describe('the regions codes are sent to', () => {
  it.each([
    [{ SIGNALWIRE_NUMBER: '+12025550199' }, ['US', 'CA'], 'US'],
    [{ SIGNALWIRE_NUMBER: '+14162345678' }, ['CA', 'US'], 'CA'],
    [{ SIGNALWIRE_NUMBER: '+447400123456' }, ['GB'], 'GB'],
    [{ SIGNALWIRE_NUMBER: '12345' }, ['US', 'CA'], 'US'],
    [{ SIGNALWIRE_NUMBER: '12345, +447400123456:6' }, ['GB'], 'GB'],
    [{ ALLOWED_REGIONS: 'DE, FR' }, ['DE', 'FR'], 'US'],
    [{ SIGNALWIRE_NUMBER: '+447400123456', ALLOWED_REGIONS: 'IE' }, ['IE'], 'GB'],
  ])('%j are %j, and a number without plus is of %s', (env, regions, country) => {
    const { config, problems } = readConfig(env)
    expect(problems).toEqual([])
    expect([...config.regions]).toEqual(regions)
    expect(config.country).toBe(country)
  })
})

const SIGNING_KEY = 'PSK_7TruNcSNTxp4zNrykMj4EPzF'

describe('callbacks', () => {
  it('are taken where an address of ours and a signing key are set', () => {
    const env = { PUBLIC_URL: 'https://2fa.example.com/', SIGNALWIRE_SIGNING_KEY: 'key, newer' }
    expect(readConfig(env)).toMatchObject({
      config: { callbacks: { publicUrl: 'https://2fa.example.com', signingKeys: ['key', 'newer'] } },
      problems: [],
    })
    expect(readConfig({ SIGNALWIRE_SIGNING_KEY: 'key' }).config.callbacks).toBeUndefined()
  })

  it('need the key that checks them', () => {
    expect(namesOf(readConfig({ PUBLIC_URL: 'https://2fa.example.com' }).problems)).toEqual([
      'SIGNALWIRE_SIGNING_KEY',
    ])
  })

  it.each([
    'key',
    'sandbox',
    SIGNING_KEY.slice(0, 15),
    'changemechangeme',
    `${SIGNING_KEY},`,
    `${SIGNING_KEY},key`,
  ])('do not hang on the key %s in production', (key) => {
    const env = { ...PRODUCTION, PUBLIC_URL: 'https://2fa.example.com', SIGNALWIRE_SIGNING_KEY: key }
    const { problems } = readConfig(env)
    expect(namesOf(problems)).toEqual(['SIGNALWIRE_SIGNING_KEY'])
    expect(problems.join()).not.toContain(`: ${key}`)
  })

  it('hang on one of sixteen characters there, and on several', () => {
    const url = { ...PRODUCTION, PUBLIC_URL: 'https://2fa.example.com' }
    for (const key of [SIGNING_KEY.slice(0, 16), `${SIGNING_KEY},${SIGNING_KEY}2`])
      expect(readConfig({ ...url, SIGNALWIRE_SIGNING_KEY: key }).problems).toEqual([])
  })

  it.each([
    'http://2fa.example.com',
    'https://2fa.example.com?a=b',
    'https://u@2fa.example.com',
    '2fa.example.com',
  ])('do not come to %s in production', (url) => {
    const env = { ...PRODUCTION, PUBLIC_URL: url, SIGNALWIRE_SIGNING_KEY: SIGNING_KEY }
    expect(namesOf(readConfig(env).problems)).toEqual(['PUBLIC_URL'])
  })
})

it.each([
  [{}, ['sms']],
  [{ PROVIDERS: 'relay' }, ['sms']],
  [{ PROVIDERS: 'rest' }, ['sms', 'call']],
  [{ PROVIDERS: 'relay,rest' }, ['sms', 'call']],
  [{ PROVIDERS: 'rest', SIGNALWIRE_NUMBER: '12345' }, ['sms']],
  [{ PROVIDERS: 'rest', SIGNALWIRE_NUMBER: '12345,+12025550199' }, ['sms', 'call']],
])('with %j codes go by %j', (env, channels) => {
  expect(readConfig(env).config.channels).toEqual(channels)
})
