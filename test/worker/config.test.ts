/** The worker's configuration, as far as providers go: which are used, where they are, and what each needs. */
import { describe, expect, it } from 'vitest'
import { readConfig } from '#worker/config.ts'

const REAL = { SIGNALWIRE_PROJECT: 'p', SIGNALWIRE_TOKEN: 't', SIGNALWIRE_NUMBER: '+12025550199' }
const namesOf = (problems: readonly string[]) => problems.map((problem) => problem.split(':')[0])

describe('providers', () => {
  it('are the websocket alone unless told', () => {
    expect(readConfig({}).config.providers).toEqual(['relay'])
  })

  it.each([
    ['rest', ['rest']],
    ['relay,rest', ['relay', 'rest']],
    ['rest, relay', ['rest', 'relay']],
  ])('%s are in that order', (text, providers) => {
    expect(readConfig({ PROVIDERS: text })).toMatchObject({ config: { providers }, problems: [] })
  })

  it.each(['relay,relay', 'twilio', 'relay,,rest'])('%s are a mistake', (text) => {
    expect(namesOf(readConfig({ PROVIDERS: text }).problems)).toEqual(['PROVIDERS'])
  })
})

describe('REST', () => {
  it.each([
    ['without credentials, that of the sandbox', {}, 'http://127.0.0.1:3001'],
    ['without credentials, that of another sandbox', { SANDBOX_URL: 'wss://box:9' }, 'https://box:9'],
    ['of a space', { ...REAL, SIGNALWIRE_SPACE: 'example' }, 'https://example.signalwire.com'],
    [
      'of a space by its host',
      { ...REAL, SIGNALWIRE_SPACE: 'example.signalwire.com' },
      'https://example.signalwire.com',
    ],
    ['of an address', { ...REAL, SIGNALWIRE_REST_URL: 'http://127.0.0.1:9' }, 'http://127.0.0.1:9'],
  ])('is %s', (_, env, restUrl) => {
    expect(readConfig({ PROVIDERS: 'rest', ...env })).toMatchObject({ config: { restUrl }, problems: [] })
  })

  it('needs a space or an address once there are credentials', () => {
    expect(namesOf(readConfig({ PROVIDERS: 'relay,rest', ...REAL }).problems)).toEqual(['SIGNALWIRE_SPACE'])
    expect(readConfig({ PROVIDERS: 'relay', ...REAL }).problems).toEqual([])
  })

  it.each(['https://example.signalwire.com', 'exa mple', '-', 'example.com'])(
    'has no space called %s',
    (space) => {
      expect(namesOf(readConfig({ SIGNALWIRE_SPACE: space }).problems)).toEqual(['SIGNALWIRE_SPACE'])
    },
  )

  it('is encrypted in production', () => {
    const env = { NODE_ENV: 'production', SIGNALWIRE_REST_URL: 'http://example.com' }
    expect(namesOf(readConfig(env).problems)).toContain('SIGNALWIRE_REST_URL')
  })
})
