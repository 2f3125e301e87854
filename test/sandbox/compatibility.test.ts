import { createHmac } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { receiveCallbacks } from './callback-receiver.ts'
import { FROM, phone, postForm, project, startSandbox } from './clients.ts'

const MESSAGES = '/api/laml/2010-04-01/Accounts/project/Messages'
const CALLS = '/api/laml/2010-04-01/Accounts/project/Calls'
const form = (ending: string, more: Record<string, string> = {}) => ({
  To: phone(ending),
  From: FROM,
  Body: 'Your code is 482913',
  ...more,
})

describe('creating a message', () => {
  it.each([MESSAGES, `${MESSAGES}.json`])('answers %s with 201 and the message', async (path) => {
    const { sandbox, url } = await startSandbox()
    const response = await postForm(url + path, form('0100'))
    expect(response.status).toBe(201)
    const [arrived] = sandbox.messages()
    expect(await response.json()).toMatchObject({
      sid: arrived?.id,
      account_sid: 'project',
      api_version: '2010-04-01',
      direction: 'outbound-api',
      status: 'queued',
      to: phone('0100'),
      from: FROM,
      body: 'Your code is 482913',
      num_segments: 1,
      error_code: null,
      uri: `${MESSAGES}/${arrived?.id}`,
    })
  })

  it.each([
    { name: 'no credentials', headers: {} },
    { name: 'a wrong token', headers: { authorization: `Basic ${btoa('project:wrong')}` } },
    { name: 'another project', headers: { authorization: `Basic ${btoa('other:token')}` } },
    { name: 'no token', headers: { authorization: `Basic ${btoa('project')}` } },
    { name: 'another scheme', headers: { authorization: 'Bearer token' } },
  ])('is refused with 401 for $name', async ({ headers }) => {
    const { sandbox, url } = await startSandbox()
    const response = await postForm(url + MESSAGES, form('0100'), headers)
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({
      code: 20003,
      message: 'Authentication failed',
      status: 401,
    })
    expect(sandbox.messages()).toEqual([])
  })

  it.each([
    { fields: { To: '' }, status: 422, code: 21604 },
    { fields: { From: '' }, status: 422, code: 21603 },
    { fields: { Body: '' }, status: 422, code: 21602 },
    { fields: { To: '2025550100' }, status: 400, code: 21211 },
    { fields: { Body: 'x'.repeat(1_601) }, status: 400, code: 21617 },
    { fields: { StatusCallback: 'http://203.0.113.1/' }, status: 422, code: 21609 },
    { fields: { StatusCallback: 'https://127.0.0.1/' }, status: 422, code: 21609 },
    { fields: { StatusCallback: 'http://localhost.example.com/' }, status: 422, code: 21609 },
  ])('is refused with $status and code $code for $fields', async ({ fields, status, code }) => {
    const { sandbox, url } = await startSandbox()
    const response = await postForm(url + MESSAGES, form('0100', fields))
    expect(response.status).toBe(status)
    const body = { code, status, message: expect.any(String), more_info: expect.any(String) }
    expect(await response.json()).toEqual(body)
    expect(sandbox.messages()).toEqual([])
  })
})

describe('the special destinations', () => {
  it.each([
    { ending: '0104', status: 400, code: 21211 },
    { ending: '0105', status: 429, code: 20429 },
    { ending: '0110', status: 500, code: 20001 },
    { ending: '0112', status: 503, code: 20504 },
  ])('$ending is answered with $status and does not arrive', async ({ ending, status, code }) => {
    const { sandbox, url } = await startSandbox()
    const response = await postForm(url + MESSAGES, form(ending))
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code, status })
    expect(sandbox.messages()).toEqual([])
  })

  it('0106 is never answered and does not arrive', async () => {
    const { sandbox, url } = await startSandbox()
    const silent = postForm(url + MESSAGES, form('0106')).then(
      () => 'answered',
      () => 'cut',
    )
    await postForm(url + MESSAGES, form('0113'))
    await sandbox.close()
    expect(await silent).toBe('cut')
    expect(sandbox.messages(phone('0106'))).toEqual([])
  })

  it('0107 arrives but the connection is cut before the answer', async () => {
    const { sandbox, url } = await startSandbox()
    await expect(postForm(url + MESSAGES, form('0107'))).rejects.toThrow()
    await vi.waitFor(() => expect(sandbox.messages()).toMatchObject([{ state: 'delivered' }]))
  })

  it('0109 is answered without a sid', async () => {
    const { sandbox, url } = await startSandbox()
    const response = await postForm(url + MESSAGES, form('0109'))
    expect(response.status).toBe(201)
    expect(await response.json()).not.toHaveProperty('sid')
    expect(sandbox.messages()).toHaveLength(1)
  })
})

describe('looking at a message', () => {
  it('shows how it fares, with the code of its failure', async () => {
    const { sandbox, url } = await startSandbox()
    await postForm(url + MESSAGES, form('0102'))
    const [{ id } = { id: '' }] = sandbox.messages()
    await vi.waitFor(async () => {
      const response = await fetch(`${url}${MESSAGES}/${id}`, { headers: project })
      expect(await response.json()).toMatchObject({ sid: id, status: 'undelivered', error_code: 30003 })
    })
  })

  it('answers 404 for one that does not exist', async () => {
    const { url } = await startSandbox()
    const response = await fetch(`${url}${MESSAGES}/none`, { headers: project })
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ status: 404 })
  })
})

describe('status callbacks', () => {
  it('come in order, as signed forms', async () => {
    const { url } = await startSandbox({ signingKey: 'key' })
    const receiver = await receiveCallbacks()
    await postForm(url + MESSAGES, form('0102', { StatusCallback: receiver.url }))
    await vi.waitFor(() => expect(receiver.posts).toHaveLength(4))

    const fields = receiver.posts.map(({ body }) => Object.fromEntries(new URLSearchParams(body)))
    expect(fields.map(({ MessageStatus }) => MessageStatus)).toEqual([
      'queued',
      'sending',
      'sent',
      'undelivered',
    ])
    expect(fields[3]).toMatchObject({
      To: phone('0102'),
      From: FROM,
      AccountSid: 'project',
      ErrorCode: '30003',
    })

    const [first] = receiver.posts
    const pairs = Object.entries(fields[0] ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
    const signed = createHmac('sha1', 'key').update(receiver.url + pairs.flat().join(''))
    expect(first?.signature).toBe(signed.digest('base64'))
    expect(first).toMatchObject({ path: '/status?v=1', type: 'application/x-www-form-urlencoded' })
  })

  it.each([
    { refusals: 2, statuses: ['queued', 'queued', 'queued', 'failed'] },
    { refusals: 3, statuses: ['queued', 'queued', 'queued', 'failed'] },
    { refusals: 4, statuses: ['queued', 'queued', 'queued', 'failed', 'failed'] },
  ])('are tried three times each when the first $refusals are refused', async ({ refusals, statuses }) => {
    const { url } = await startSandbox()
    const receiver = await receiveCallbacks((index) => (index < refusals ? 500 : 200))
    await postForm(url + MESSAGES, form('0103', { StatusCallback: receiver.url }))
    const states = () => receiver.posts.map(({ body }) => new URLSearchParams(body).get('MessageStatus'))
    await vi.waitFor(() => expect(states()).toEqual(statuses))
  })

  it('come doubled, out of order and before the answer for 0108', async () => {
    const { url } = await startSandbox({ pace: 1 })
    const receiver = await receiveCallbacks()
    await postForm(url + MESSAGES, form('0108', { StatusCallback: receiver.url }))
    expect(receiver.posts).toHaveLength(1)
    await vi.waitFor(() => expect(receiver.posts).toHaveLength(7))
  })
})

describe('creating a call', () => {
  it('answers 201, shows the call in the inbox and posts its states', async () => {
    const { sandbox, url } = await startSandbox()
    const receiver = await receiveCallbacks()
    const fields = { Url: 'https://example.com/say.xml', StatusCallback: receiver.url }
    const response = await postForm(url + CALLS, { To: phone('0100'), From: FROM, ...fields })
    expect(response.status).toBe(201)
    const [call] = sandbox.messages()
    expect(await response.json()).toMatchObject({ sid: call?.id, status: 'queued' })
    expect(call).toMatchObject({ channel: 'call', body: 'Plays https://example.com/say.xml' })
    const statuses = () => receiver.posts.map(({ body }) => new URLSearchParams(body).get('CallStatus'))
    await vi.waitFor(() => expect(statuses()).toEqual(['initiated', 'ringing', 'in-progress', 'completed']))
  })

  it('needs a Url', async () => {
    const { url } = await startSandbox()
    const response = await postForm(url + CALLS, { To: phone('0100'), From: FROM })
    expect(response.status).toBe(422)
  })
})
