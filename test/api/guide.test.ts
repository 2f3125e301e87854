/** The guide's routes for programs: its exact texts and statuses, from forms and from JSON. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, wrongFor } from '#test/fixtures/store.ts'
import type { Destination } from '#verification/destination.ts'
import type { Rule } from '#verification/gate.ts'
import type { Policy } from '#verification/policy.ts'
import { type Api, apiOn, expectProblem, FORM_APPLICATION } from './api.ts'

const connection = useRedis()
const REQUEST = '/request-auth'
const VALIDATE = '/validate-auth'

type Post = (api: Api, path: string, fields: Record<string, string>) => Promise<Response>
const ways: [string, Post][] = [
  ['a form', (api, path, fields) => api.postForm(path, fields)],
  ['JSON', (api, path, fields) => api.post(path, fields)],
]

const told = async (response: Response) => `${response.status} ${await response.text()}`

async function requested(policy: Partial<Policy> = {}) {
  const api = apiOn(connection.redis, { policy })
  const number: Destination = freshDestination()
  expect(await told(await api.postForm(REQUEST, { number }))).toBe('200 Your code was sent')
  const id = api.enqueued[0]?.verification ?? ''
  const code = await api.codeOf(id, FORM_APPLICATION)
  const validate = async (auth_code: string, to: string = number) =>
    told(await api.postForm(VALIDATE, { number: to, auth_code }))
  return { api, number, id, code, validate }
}

describe.each(ways)('as %s', (_, post) => {
  it('a code is asked for and checked: Success! once, then Forbidden', async () => {
    const api = apiOn(connection.redis)
    const number = freshDestination()
    expect(await told(await post(api, REQUEST, { number }))).toBe('200 Your code was sent')
    expect(api.enqueued).toMatchObject([{ application: 'form', send: 1 }])
    const code = await api.codeOf(api.enqueued[0]?.verification ?? '', FORM_APPLICATION)
    expect(await told(await post(api, VALIDATE, { number, auth_code: wrongFor(code) }))).toBe('403 Forbidden')
    expect(await told(await post(api, VALIDATE, { number, auth_code: code }))).toBe('200 Success!')
    expect(await told(await post(api, VALIDATE, { number, auth_code: code }))).toBe('403 Forbidden')
  })

  it.each(['911', 'abc', '', '+19002345678', '+442079460000', '+18762345678', '1'.repeat(65)])(
    'the number %j is 400 Invalid Phone Number',
    async (number) => {
      const api = apiOn(connection.redis)
      expect(await told(await post(api, REQUEST, { number }))).toBe('400 Invalid Phone Number')
      expect(api.enqueued).toEqual([])
    },
  )

  it('without its fields is what the guide says to a bad number and a bad code', async () => {
    const api = apiOn(connection.redis)
    expect(await told(await post(api, REQUEST, {}))).toBe('400 Invalid Phone Number')
    expect(await told(await post(api, VALIDATE, {}))).toBe('403 Forbidden')
    expect(await told(await post(api, VALIDATE, { number: freshDestination() }))).toBe('403 Forbidden')
  })

  it('fields it does not know are let be', async () => {
    const api = apiOn(connection.redis)
    const response = await post(api, REQUEST, { number: freshDestination(), submit: 'Text me a code' })
    expect(await told(response)).toBe('200 Your code was sent')
  })
})

describe('the answers', () => {
  it('are plain text', async () => {
    const api = apiOn(connection.redis)
    const response = await api.postForm(REQUEST, { number: freshDestination() })
    expect(response.headers.get('Content-Type')).toMatch(/^text\/plain/)
    expect(response.headers.get('Vary')).toBe('Accept')
  })

  it('to another request in the cooldown are 429 with a wait, and nothing is sent', async () => {
    const { api, number } = await requested()
    const response = await api.postForm(REQUEST, { number })
    expect(response.headers.get('Retry-After')).toBe('30')
    expect(await told(response)).toBe('429 Too Many Requests')
    expect(api.enqueued).toHaveLength(1)
  })

  it('to a check of a number nobody asked a code for are Forbidden', async () => {
    const { validate, code } = await requested()
    expect(await validate(code, freshDestination())).toBe('403 Forbidden')
  })

  it('to the right code for another number are Forbidden, which the guide’s own example gets wrong', async () => {
    const { api, code } = await requested()
    const number = freshDestination()
    await api.postForm(REQUEST, { number })
    const other = await api.codeOf(api.enqueued[1]?.verification ?? '', FORM_APPLICATION)
    if (other === code) return
    expect(await told(await api.postForm(VALIDATE, { number, auth_code: code }))).toBe('403 Forbidden')
  })

  it('to an expired code are Forbidden', async () => {
    const { validate, code } = await requested({ codeTtlMs: 0 })
    expect(await validate(code)).toBe('403 Forbidden')
  })

  it('to the right code after the last try are Forbidden', async () => {
    const { validate, code } = await requested({ checksMax: 1 })
    expect(await validate(wrongFor(code))).toBe('403 Forbidden')
    expect(await validate(code)).toBe('403 Forbidden')
  })

  it('to the right code of a number with too many wrong ones are Forbidden', async () => {
    const { validate, code } = await requested({
      wrongCheckLimits: [{ name: 'test', max: 1, windowMs: 60_000 }],
    })
    await validate(wrongFor(code))
    expect(await validate(code)).toBe('403 Forbidden')
  })

  it.each(['12345', '1234567', 'abcdef'])(
    'to %j, which is no code, are Forbidden and cost no try',
    async (typed) => {
      const { validate, code } = await requested({ checksMax: 1 })
      expect(await validate(typed)).toBe('403 Forbidden')
      expect(await validate(code)).toBe('200 Success!')
    },
  )
})

it('a message dearer than a whole budget is 429 without a time to wait, and no fault of the number', async () => {
  const rules: Rule[] = [
    { name: 'form_spend_day', scope: 'form', counts: 'spend', windowMs: 86_400_000, max: 1, mode: 'block' },
  ]
  const api = apiOn(connection.redis, { policy: { rules } })
  const response = await api.postForm(REQUEST, { number: freshDestination() })
  expect(response.headers.get('Retry-After')).toBeNull()
  expect(await told(response)).toBe('429 Too Many Requests')
  expect(api.lines.at(-1)).toMatchObject({ refusal: 'spend_limit', limit: 'form_spend_day' })
})

describe('a form', () => {
  it.each([
    ['with the plus left bare', (to: string) => `number=${to}`],
    ['with the number in national spelling', (to: string) => `number=(${to.slice(2, 5)})+${to.slice(5)}`],
    ['with spaces around it', (to: string) => `number=++${encodeURIComponent(to)}++`],
  ])('is read %s', async (_, body) => {
    const api = apiOn(connection.redis)
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
    expect(await told(await api.postText(REQUEST, body(freshDestination()), form))).toBe(
      '200 Your code was sent',
    )
  })

  it('with a field twice is refused', async () => {
    const api = apiOn(connection.redis)
    const number = encodeURIComponent(freshDestination())
    const twice = await api.postForm(REQUEST, `number=${number}&number=${number}`)
    expect(await told(twice)).toBe('400 Invalid Phone Number')
    expect(api.enqueued).toEqual([])
  })
})

it.each([12025550143, true, null, ['+12025550143'], { number: 1 }])(
  'JSON with the number %j is 400',
  async (number) => {
    const api = apiOn(connection.redis)
    expect(await told(await api.post(REQUEST, { number }))).toBe('400 Invalid Phone Number')
  },
)

it('what is neither form nor JSON is refused as on /v1', async () => {
  const api = apiOn(connection.redis)
  await expectProblem(
    await api.postText(REQUEST, 'x', { 'Content-Type': 'text/plain' }),
    415,
    'unsupported_media_type',
  )
  await expectProblem(
    await api.postText(REQUEST, '{', { 'Content-Type': 'application/json' }),
    400,
    'malformed_json',
  )
})

describe('the Python variant, switched on', () => {
  const python = () => apiOn(connection.redis, { config: { pythonRoutes: true } })

  it('takes GET with query parameters and a number without plus, and answers 200 and 403', async () => {
    const api = python()
    const number = freshDestination().slice(1)
    expect(await told(await api.get(`${REQUEST}?number=${number}`))).toBe('200 200')
    const code = await api.codeOf(api.enqueued[0]?.verification ?? '', FORM_APPLICATION)
    const check = (typed: string) => api.get(`${VALIDATE}?number=${number}&auth_code=${typed}`)
    expect(await told(await check(wrongFor(code)))).toBe('200 403')
    expect(await told(await check(code))).toBe('200 200')
    expect(await told(await check(code))).toBe('200 403')
  })

  it.each(['', '?number=', '?number=911', '?number=1&number=2', '?number=19002345678'])(
    'answers 400 to %j',
    async (query) => {
      expect(await (await python().get(`${REQUEST}${query}`)).text()).toBe('400')
    },
  )

  it('still takes POST as before', async () => {
    const api = python()
    expect(await told(await api.postForm(REQUEST, { number: freshDestination() }))).toBe(
      '200 Your code was sent',
    )
  })
})
