/** Webhooks as settings: which addresses and secrets are taken, which events are written, and what a mistake says. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { readConfig as readApi } from '#api/config.ts'
import { SECRET } from '#test/fixtures/receiver.ts'
import { EVENT_TYPES } from '#verification/event.ts'
import { readConfig } from '#worker/config.ts'

const OTHER = `whsec_${Buffer.alloc(24, 'another').toString('base64')}`
const RANDOM = `whsec_${randomBytes(32).toString('base64')}`
const withUrl = (url: string, more: Record<string, string> = {}) =>
  readConfig({ WEBHOOK_URL: url, WEBHOOK_SECRET: RANDOM, ...more })
const PRIVATE = { WEBHOOK_ALLOW_PRIVATE: 'on' }
const PRODUCTION = { NODE_ENV: 'production' }

describe('WEBHOOK_URL', () => {
  it.each<[string, Record<string, string>]>([
    ['https://hooks.example.com/2fa?token=x', {}],
    ['https://hooks.example.com:8443/', {}],
    ['https://8.8.8.8/', {}],
    ['https://hooks.example.com/', PRODUCTION],
    ['https://10.0.0.7/', PRIVATE],
    ['https://[fd00::7]/', { ...PRIVATE, ...PRODUCTION }],
    ['http://127.0.0.1:3999/', PRIVATE],
    ['http://[::1]:3999/', PRIVATE],
    ['http://localhost:3999/', PRIVATE],
  ])('takes %s with %j', (url, more) => {
    const { config, problems } = withUrl(url, more)
    expect(problems.filter((problem) => problem.startsWith('WEBHOOK'))).toEqual([])
    expect(config.webhook?.url.href).toBe(url)
  })

  it.each<[string, Record<string, string>]>([
    ['hooks.example.com', {}],
    ['ftp://hooks.example.com/', {}],
    ['http://hooks.example.com/', {}],
    ['http://hooks.example.com/', PRIVATE],
    ['http://10.0.0.7/', PRIVATE],
    ['http://127.0.0.1:3999/', {}],
    ['http://127.0.0.1:3999/', { ...PRIVATE, ...PRODUCTION }],
    ['http://localhost.example.com/', PRIVATE],
    ['https://user@hooks.example.com/', {}],
    ['https://user:secret@hooks.example.com/', {}],
    ['https://10.0.0.7/', {}],
    ['https://127.0.0.1/', {}],
    ['https://2130706433/', {}],
    ['https://0x7f.1/', {}],
    ['https://[::ffff:127.0.0.1]/', {}],
    ['https://169.254.169.254/', PRIVATE],
    ['https://[::ffff:a9fe:a9fe]/', PRIVATE],
    ['https://0.0.0.0/', PRIVATE],
  ])('refuses %s with %j, and does not repeat it', (url, more) => {
    const { problems } = withUrl(url, more)
    const said = problems.filter((problem) => problem.startsWith('WEBHOOK'))
    expect(said).toEqual([expect.stringMatching(/^WEBHOOK_URL: must be an https/)])
    expect(said.join()).not.toContain(url)
  })

  it('that is not set tells nobody and writes no event, in either program', () => {
    const { config, problems } = readConfig({ WEBHOOK_EVENTS: '*' })
    expect(problems).toEqual([])
    expect([config.webhook, config.policy.events]).toEqual([undefined, []])
    expect(readApi({}).config.policy.events).toEqual([])
  })
})

describe('WEBHOOK_SECRET', () => {
  it('must be there with an address', () => {
    expect(readConfig({ WEBHOOK_URL: 'https://hooks.example.com/' }).problems).toEqual([
      'WEBHOOK_SECRET: must be set with WEBHOOK_URL',
    ])
  })

  it('may be several, for a rotation', () => {
    const { config, problems } = withUrl('https://hooks.example.com/', {
      WEBHOOK_SECRET: `${OTHER}, ${SECRET}`,
    })
    expect(problems).toEqual([])
    expect(config.webhook?.secrets.map((secret) => secret.length)).toEqual([24, 32])
  })

  it.each(['secret', SECRET.slice(6), `${OTHER},`, 'whsec_c2hvcnQ='])('is not %s', (text) => {
    const { problems } = withUrl('https://hooks.example.com/', { WEBHOOK_SECRET: text })
    expect(problems).toEqual([expect.stringMatching(/^WEBHOOK_SECRET: must be .*whsec_/)])
    expect(problems.join()).not.toContain(text === 'secret' ? '"secret"' : text)
  })
})

it.each([OTHER, `whsec_${Buffer.alloc(32).toString('base64')}`, `${RANDOM},${OTHER}`])(
  'WEBHOOK_SECRET is not typed, in production: %s',
  (text) => {
    const about = (env: Record<string, string>) =>
      withUrl('https://hooks.example.com/', { WEBHOOK_SECRET: text, ...env }).problems.filter((problem) =>
        problem.startsWith('WEBHOOK'),
      )
    expect(about({})).toEqual([])
    expect(about(PRODUCTION)).toEqual(['WEBHOOK_SECRET: is a secret that was typed or repeats itself'])
  },
)

describe('WEBHOOK_EVENTS', () => {
  const events = (text?: string) => {
    const env = { WEBHOOK_URL: 'https://hooks.example.com/', ...(text ? { WEBHOOK_EVENTS: text } : {}) }
    return readApi(env)
  }

  it.each([
    [undefined, EVENT_TYPES],
    ['*', EVENT_TYPES],
    ['verification.approved', ['verification.approved']],
    ['send.unknown, limit.reached,send.unknown', ['send.unknown', 'limit.reached']],
    ['send.failed,*', ['send.failed', ...EVENT_TYPES.filter((type) => type !== 'send.failed')]],
  ])('%s are written', (text, types) => {
    expect(events(text)).toMatchObject({ problems: [], config: { policy: { events: types } } })
  })

  it.each(['approved', 'verification.*', 'verification.approved,'])('%s is a mistake', (text) => {
    expect(events(text).problems).toEqual([expect.stringMatching(/^WEBHOOK_EVENTS: must be /)])
  })
})
