/** What messages look like, as the API and the worker read it: the same, and nothing that would be too long. */
import { describe, expect, it } from 'vitest'
import { readConfig as readApi } from '#api/config.ts'
import { readConfig as readWorker } from '#worker/config.ts'

const READERS = [
  ['the API', readApi],
  ['the worker', readWorker],
] as const

describe.each(READERS)('%s', (_, read) => {
  it('writes plain messages of one segment unless it is told otherwise', () => {
    expect(read({}).config.message).toEqual({
      brand: 'verification',
      domain: undefined,
      appHash: undefined,
      segmentsMax: 1,
    })
  })

  it('reads brand, domain, app hash and limit', () => {
    const { config, problems } = read({
      BRAND_NAME: "Joe's Pizza & Co.",
      WEBOTP_DOMAIN: 'login.example.com',
      ANDROID_APP_HASH: 'FA+9qCX9VS/',
      MESSAGE_SEGMENTS_MAX: '3',
    })
    expect(problems).toEqual([])
    expect(config.message).toEqual({
      brand: "Joe's Pizza & Co.",
      domain: 'login.example.com',
      appHash: 'FA+9qCX9VS/',
      segmentsMax: 3,
    })
  })

  it.each([
    ['BRAND_NAME', ['m'.repeat(31), 'm\u00e4rker', ' marker', 'marker  marker', '@marker', 'marker|']],
    [
      'WEBOTP_DOMAIN',
      [
        'https://marker.example',
        'marker.example:443',
        'marker.example/',
        'marker',
        'localhost',
        '192.0.2.1',
        '[2001:db8::1]',
        '2001:db8::1',
        'Marker.example',
        'marker.example.',
        '.marker.example',
        'marker..example',
        '-marker.example',
        'marker-.example',
        'marker_1.example',
        'm\u00e4rker.example',
        'marker.1',
        'marker .example',
        '@marker.example',
        `${'m'.repeat(64)}.example`,
      ],
    ],
    [
      'ANDROID_APP_HASH',
      ['marker', 'FA+9qCX9VS', 'FA+9qCX9VSuu', 'FA-9qCX9VSu', 'FA+9qCX9VS=', 'FA+9qCX9VS '],
    ],
    ['MESSAGE_SEGMENTS_MAX', ['0', '4', '1.5', 'marker']],
  ])('says a wrong %s by its name and never by its value', (name, values) => {
    for (const value of values) {
      const { problems } = read({ [name]: value })
      expect({ value, problems: problems.map((problem) => problem.split(':')[0]) }).toEqual({
        value,
        problems: [name],
      })
      expect(problems.join()).not.toMatch(/marker|rker|FA\+9/)
    }
  })

  it.each(['a.co', 'xn--bcher-kva.example', '3.example.com', 'login-1.example.co.uk'])(
    'takes the domain %s',
    (domain) => {
      expect(read({ WEBOTP_DOMAIN: domain, MESSAGE_SEGMENTS_MAX: '2' }).problems).toEqual([])
    },
  )

  it('does not start with a domain that makes messages too long, and names every language at once', () => {
    const env = { BRAND_NAME: 'Wide World of Widgets and More', WEBOTP_DOMAIN: 'accounts.example.com' }
    expect(read(env).problems).toEqual([
      'WEBOTP_DOMAIN: the message in ja would take 2 segments (76 UCS-2 units), MESSAGE_SEGMENTS_MAX is 1',
      'WEBOTP_DOMAIN: the message in zh would take 2 segments (75 UCS-2 units), MESSAGE_SEGMENTS_MAX is 1',
      'WEBOTP_DOMAIN: the message in zh-Hant would take 2 segments (75 UCS-2 units), MESSAGE_SEGMENTS_MAX is 1',
      'WEBOTP_DOMAIN: the message in hi would take 2 segments (72 UCS-2 units), MESSAGE_SEGMENTS_MAX is 1',
      'WEBOTP_DOMAIN: the message in ar would take 2 segments (75 UCS-2 units), MESSAGE_SEGMENTS_MAX is 1',
    ])
    expect(read({ ...env, MESSAGE_SEGMENTS_MAX: '2' }).problems).toEqual([])
    expect(read({ ...env, BRAND_NAME: 'Wide World' }).problems).toEqual([])
  })

  it('does not start when a payment would take more than three segments', () => {
    const { problems } = read({
      WEBOTP_DOMAIN: `${'accounts.'.repeat(12)}example.com`,
      BRAND_NAME: 'W'.repeat(30),
      MESSAGE_SEGMENTS_MAX: '3',
    })
    expect(problems.slice(0, 1)).toEqual([
      'WEBOTP_DOMAIN: the payment message in ja would take 4 segments (236 UCS-2 units), 3 are the most',
    ])
  })
})
