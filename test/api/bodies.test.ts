/** What bad bodies get: one status and one machine code each, and never a word of what was sent. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { apiOn, expectProblem, jsonOf } from './api.ts'

const connection = useRedis()
const START = '/v1/verifications'
const CHECK = '/v1/checks'
const JSON_TYPE = { 'Content-Type': 'application/json' }

describe.each([START, CHECK])('%s', (path) => {
  it.each([
    ['nothing', ''],
    ['half an object', '{"to":"+12025550143","marker'],
    ['a trailing comma', '{"to":"marker",}'],
    ['single quotes', "{'to':'marker'}"],
    ['two objects', '{}{}marker'],
    ['a form', 'to=marker'],
    ['a byte order mark and letters', '\ufeff\ufeffmarker'],
    ['a thousand open brackets', '['.repeat(8_000)],
  ])('refuses %s as malformed JSON, in words of its own', async (_, text) => {
    const api = apiOn(connection.redis)
    const response = await api.postText(path, text, JSON_TYPE)
    expect(await expectProblem(response.clone(), 400, 'malformed_json')).toStrictEqual({
      type: 'urn:sms-two-factor-auth:problem:malformed_json',
      title: 'The body is not valid JSON.',
      status: 400,
      code: 'malformed_json',
    })
    expect(await response.text()).not.toContain('marker')
  })

  it.each([
    ['an array', '[]'],
    ['a string', '"marker"'],
    ['a number', '42'],
    ['null', 'null'],
    ['true', 'true'],
    ['a list of bodies', '[{"to":"+12025550143"}]'],
  ])('refuses %s: it must be an object', async (_, text) => {
    const response = await apiOn(connection.redis).postText(path, text, JSON_TYPE)
    const { errors } = await expectProblem(response, 400, 'invalid_request')
    if (text.startsWith('[')) return
    expect(errors).toStrictEqual([{ field: '', problem: 'must be an object' }])
  })
})

const STRING = 'must be a string'

describe.each([
  ['to', START, STRING],
  ['country', START, STRING],
  ['locale', START, STRING],
  ['purpose', START, STRING],
  ['client_ip', START, STRING],
  ['channel', START, 'must be sms or call'],
  ['to', CHECK, STRING],
  ['code', CHECK, STRING],
])('the field %s of %s', (field, path, sentence) => {
  const good = { to: '+12025550143', ...(path === CHECK ? { code: '012345' } : {}) }

  it.each([12345, 0, true, false, null, [], ['012345'], {}, { $ne: '' }])(
    'is refused as %j: it must be a string',
    async (value) => {
      const response = await apiOn(connection.redis).post(path, { ...good, [field]: value })
      const { errors } = await expectProblem(response, 400, 'invalid_request')
      expect(errors).toStrictEqual([{ field, problem: sentence }])
    },
  )

  it('is refused at 65 characters', async () => {
    const response = await apiOn(connection.redis).post(path, { ...good, [field]: '1'.repeat(65) })
    const { errors } = await expectProblem(response, 400, 'invalid_request')
    expect(errors).toMatchObject([{ field }])
  })
})

it.each([
  [63, 'invalid_code'],
  [64, 'invalid_code'],
  [65, 'invalid_request'],
])('a code of %i characters is %s', async (length, expected) => {
  const api = apiOn(connection.redis)
  const { checks } = await api.start()
  await expectProblem(await api.post(checks, { code: '1'.repeat(length) }), 400, expected)
})

describe('by name, all at once', () => {
  it.each([
    [START, {}, [{ field: 'to', problem: 'is missing' }]],
    [
      CHECK,
      {},
      [
        { field: 'to', problem: 'is missing' },
        { field: 'code', problem: 'is missing' },
      ],
    ],
    [START, { to: '+12025550143', code: '1' }, [{ field: 'code', problem: 'is not known here' }]],
    [CHECK, { to: '+12025550143', code: '012345', To: '' }, [{ field: 'To', problem: 'is not known here' }]],
    [
      START,
      { to: 5, channel: 'fax', purpose: 'Log In', country: 'us', locale: 'e', client_ip: '1.2.3' },
      [
        { field: 'to', problem: STRING },
        { field: 'country', problem: 'must be a two-letter country code such as US' },
        { field: 'channel', problem: 'must be sms or call' },
        { field: 'locale', problem: 'must be a language tag such as en or fr-CA' },
        { field: 'purpose', problem: 'must be 1 to 32 characters a-z 0-9 - _' },
        { field: 'client_ip', problem: 'must be an IP address' },
      ],
    ],
  ])('%s with %j says what is wrong', async (path, body, expected) => {
    const response = await apiOn(connection.redis).post(path, body)
    expect((await expectProblem(response, 400, 'invalid_request')).errors).toStrictEqual(expected)
  })

  it.each([
    ['a number', '/v1/verifications', '{"to":"+12025550143","to":"+12025550144"}'],
    ['the same value', '/v1/verifications', '{"to":"+12025550143","to":"+12025550143"}'],
    ['an escaped name', '/v1/verifications', '{"to":"+12025550143","\\u0074o":"+12025550144"}'],
    ['__proto__', '/v1/checks', '{"to":"+12025550143","code":"123456","__proto__":{},"__proto__":{}}'],
    ['a code', '/v1/checks', '{"to":"+12025550143","code":"123456","code":"123457"}'],
    [
      'an amount',
      '/v1/verifications',
      '{"to":"+12025550143","context":{"amount":"1","currency":"EUR","payee":"A","amount":"2"}}',
    ],
  ])('with %s twice is refused, and not the last one taken', async (_, path, text) => {
    const api = apiOn(connection.redis)
    const response = await api.postText(path, text, { 'Content-Type': 'application/json' })
    const { errors } = await expectProblem(response, 400, 'invalid_request')
    expect(errors).toEqual([{ field: '', problem: 'must not name a field twice' }])
    expect(api.enqueued).toEqual([])
  })

  it('that names nothing twice may hold colons, quotes and names inside its strings', async () => {
    const api = apiOn(connection.redis)
    const payee = 'A:B to'
    const context = { amount: '1', currency: 'EUR', payee }
    const response = await api.post('/v1/verifications', { to: freshDestination(), context })
    const { errors } = response.status === 400 ? await jsonOf(response, 400) : { errors: [] }
    expect(JSON.stringify(errors)).not.toContain('twice')
    const text = '{"to" : "\\":\\\\", "purpose":"a\\u003a"}'
    const strange = await api.postText('/v1/verifications', text, { 'Content-Type': 'application/json' })
    expect(await strange.text()).not.toContain('twice')
  })

  it('a field called __proto__ is as unknown as any', async () => {
    const text = '{"to":"+12025550143","__proto__":{"country":"US"}}'
    const response = await apiOn(connection.redis).postText(START, text, JSON_TYPE)
    await expectProblem(response, 400, 'invalid_request')
  })

  it('an unknown field’s name is cut, however long it is', async () => {
    const response = await apiOn(connection.redis).post(START, { to: '1', [`x${'y'.repeat(500)}`]: 1 })
    const { errors } = await expectProblem(response, 400, 'invalid_request')
    expect(errors).toStrictEqual([{ field: `x${'y'.repeat(63)}`, problem: 'is not known here' }])
  })

  it('what was sent is never said back', async () => {
    const response = await apiOn(connection.redis).post(START, {
      to: ['marker'],
      locale: 'marker!',
      purpose: '!marker',
    })
    expect(await response.text()).not.toContain('marker')
  })
})

describe('the content type', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'APPLICATION/JSON',
  ])('%s is taken', async (type) => {
    const api = apiOn(connection.redis)
    const body = JSON.stringify({ to: freshDestination() })
    await jsonOf(await api.postText(START, body, { 'Content-Type': type }), 202)
  })

  it.each([
    'text/plain',
    'text/json',
    'application/json; charset=utf-16',
    'application/jsonp',
    'application/json, text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    '',
  ])('%j is refused with 415', async (type) => {
    const api = apiOn(connection.redis)
    const body = JSON.stringify({ to: freshDestination() })
    await expectProblem(
      await api.postText(START, body, { 'Content-Type': type }),
      415,
      'unsupported_media_type',
    )
    expect(api.enqueued).toEqual([])
  })

  it('missing is refused with 415', async () => {
    const body = new TextEncoder().encode(JSON.stringify({ to: freshDestination() }))
    const response = await apiOn(connection.redis).app.request(START, { method: 'POST', body })
    expect(response.headers.get('Content-Type')).toBe('application/problem+json')
    await expectProblem(response, 415, 'unsupported_media_type')
  })
})
