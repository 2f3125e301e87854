import { createHmac } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { receiveCallbacks } from './callback-receiver.ts'
import { FROM, phone, postJson, startSandbox } from './clients.ts'

const MESSAGES = '/api/messaging/messages'
const CALLS = '/api/calling/calls'
const message = (ending: string, more: object = {}) => ({
  to: phone(ending),
  from: FROM,
  body: 'Your code is 482913',
  ...more,
})
const dial = (more: object = {}) => ({
  command: 'dial',
  params: { to: phone('0100'), from: FROM, swml, ...more },
})
const swml = {
  version: '1.0.0',
  sections: { main: [{ play: { urls: ['say:Your code is 4, 8, 2, 9, 1, 3.', 'say: Goodbye.'] } }] },
}

describe('creating a message', () => {
  it('answers 201 and the message', async () => {
    const { sandbox, url } = await startSandbox()
    const response = await postJson(url + MESSAGES, message('0100'))
    expect(response.status).toBe(201)
    expect(await response.json()).toMatchObject({
      id: sandbox.messages()[0]?.id,
      to: phone('0100'),
      from: FROM,
      status: 'queued',
      kind: 'sms',
      number_of_segments: 1,
      error_code: null,
      project_id: 'project',
    })
  })

  it('is refused with 401 without credentials', async () => {
    const { url } = await startSandbox()
    const response = await postJson(url + MESSAGES, message('0100'), {})
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({ error: 'Unauthorized' })
  })

  it.each(['{', '7', ''])('is refused with 400 for the text %j', async (text) => {
    const { url } = await startSandbox()
    const response = await postJson(url + MESSAGES, text)
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ error: 'Bad Request' })
  })

  it.each([
    { wrong: { to: '2025550100' }, codes: ['invalid_to_number'] },
    { wrong: { from: 12025550199 }, codes: ['invalid_from_number'] },
    { wrong: { body: undefined }, codes: ['message_body_required'] },
    { wrong: { body: 'x'.repeat(1_601) }, codes: ['character_limit_exceeded'] },
    { wrong: { status_callback: 'http://203.0.113.1/' }, codes: ['invalid_url'] },
    { wrong: { to: undefined, from: undefined }, codes: ['invalid_to_number', 'invalid_from_number'] },
  ])('is refused with 422 and $codes', async ({ wrong, codes }) => {
    const { sandbox, url } = await startSandbox()
    const response = await postJson(url + MESSAGES, message('0100', wrong))
    expect(response.status).toBe(422)
    const errors = await errorsIn(response)
    const shape = { type: 'validation_error', message: expect.any(String), attribute: expect.any(String) }
    expect(errors).toEqual(codes.map((code) => ({ ...shape, code, url: expect.any(String) })))
    expect(sandbox.messages()).toEqual([])
  })

  it.each([
    { ending: '0104', status: 422 },
    { ending: '0105', status: 429 },
    { ending: '0110', status: 500 },
    { ending: '0112', status: 503 },
  ])('to $ending is answered with $status and does not arrive', async ({ ending, status }) => {
    const { sandbox, url } = await startSandbox()
    expect((await postJson(url + MESSAGES, message(ending))).status).toBe(status)
    expect(sandbox.messages()).toEqual([])
  })

  it('to 0109 is answered without an id and arrives', async () => {
    const { sandbox, url } = await startSandbox()
    expect(await (await postJson(url + MESSAGES, message('0109'))).json()).not.toHaveProperty('id')
    expect(sandbox.messages()).toHaveLength(1)
  })

  it('is followed by callbacks in order, as signed JSON', async () => {
    const { url } = await startSandbox({ signingKey: 'key' })
    const receiver = await receiveCallbacks()
    const more = { status_callback: receiver.url, custom_variables: { reference: 'v-1' } }
    await postJson(url + MESSAGES, message('0103', more))
    await vi.waitFor(() => expect(receiver.posts).toHaveLength(2))

    const failed = receiver.posts[1]
    expect(JSON.parse(failed?.body ?? '')).toMatchObject({
      status: 'failed',
      to: phone('0103'),
      error_code: 'not_routable',
      error_message: 'Landline or unreachable carrier',
      custom_variables: { reference: 'v-1' },
    })
    const signed = createHmac('sha1', 'key').update(receiver.url + failed?.body)
    expect(failed).toMatchObject({ type: 'application/json', signature: signed.digest('hex') })
  })
})

describe('creating a call', () => {
  it.each([
    { form: 'an object', document: swml },
    { form: 'a text', document: JSON.stringify(swml) },
  ])('shows in the inbox what it says, from a swml that is $form', async ({ document }) => {
    const { sandbox, url } = await startSandbox()
    const response = await postJson(url + CALLS, dial({ swml: document }))
    expect(response.status).toBe(200)
    const [call] = sandbox.messages()
    expect(call).toMatchObject({ channel: 'call', body: 'Your code is 4, 8, 2, 9, 1, 3. Goodbye.' })
    expect(await response.json()).toMatchObject({ id: call?.id, status: 'queued', to: phone('0100') })
  })

  it('posts the states that were asked for', async () => {
    const { url } = await startSandbox()
    const receiver = await receiveCallbacks()
    await postJson(url + CALLS, dial({ status_url: receiver.url, status_events: ['answered', 'ended'] }))
    const states = () => receiver.posts.map(({ body }) => JSON.parse(body).params.call_state)
    await vi.waitFor(() => expect(states()).toEqual(['answered', 'ended']))
  })

  it.each([
    { call: { ...dial(), command: 'update' }, attribute: 'command' },
    { call: dial({ swml: undefined }), attribute: 'swml' },
    { call: dial({ swml: '{' }), attribute: 'swml' },
    { call: dial({ to: '1' }), attribute: 'to' },
    { call: dial({ status_url: 'http://203.0.113.1/' }), attribute: 'status_url' },
  ])('is refused with 422 for a wrong $attribute', async ({ call, attribute }) => {
    const { url } = await startSandbox()
    const response = await postJson(url + CALLS, call)
    expect(response.status).toBe(422)
    expect(await errorsIn(response)).toMatchObject([{ attribute }])
  })
})

async function errorsIn(response: Response): Promise<unknown> {
  const body = await response.json()
  return typeof body === 'object' && body !== null && 'errors' in body ? body.errors : undefined
}
