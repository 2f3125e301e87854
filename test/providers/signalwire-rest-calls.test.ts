/** Calls over REST: what is asked for, what its answer comes to, and what each end of a call is told as. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { SpokenMessage } from '#providers/provider.ts'
import { createCallbackReader } from '#providers/signalwire-callbacks.ts'
import { newsOfCall } from '#providers/signalwire-calls.ts'
import { createSignalWireRest } from '#providers/signalwire-rest.ts'
import type { HttpRequest } from '#test/fixtures/scripted-http.ts'
import { codeOf } from '#test/fixtures/store.ts'
import { receiveCallbacks } from '#test/sandbox/callback-receiver.ts'
import { phone, startSandbox } from '#test/sandbox/clients.ts'
import { speechOf } from '#verification/speech.ts'
import { startScriptedRest } from './scripted-rest.ts'

const NO_ABORT = new AbortController().signal
const CALL: SpokenMessage = {
  from: '+12025550199',
  to: phone('0100'),
  reference: 'shop/1/2',
  validForMs: 240_000,
  channel: 'call',
  speech: speechOf({ code: codeOf('735194'), brand: 'Acme', locale: 'en' }),
}

function restAt(baseUrl: string, callbackUrl?: string) {
  const provider = createSignalWireRest({
    project: 'p',
    token: 't',
    baseUrl,
    callbackUrl,
    sendTimeoutMs: 300,
  })
  onTestFinished(() => provider.close())
  return provider
}

test('a call is one request with the document in it: a machine hears nothing, a person the digits', async () => {
  const server = await startScriptedRest((request) => request.json(200, { id: 'c-1', status: 'queued' }))
  const provider = restAt(server.url, 'https://example.com/callbacks/signalwire')
  expect(await provider.send(CALL, NO_ABORT)).toEqual({ kind: 'accepted', messageId: 'c-1' })
  expect(server.requests).toHaveLength(1)
  const [request] = server.requests
  expect(request).toMatchObject({ method: 'POST', url: '/api/calling/calls' })
  const { command, params } = JSON.parse(request?.body ?? '')
  expect(command).toBe('dial')
  expect(params).toMatchObject({
    from: CALL.from,
    to: CALL.to,
    timeout: 30,
    status_url: 'https://example.com/callbacks/signalwire?reference=shop%2F1%2F2',
    status_events: ['ended'],
  })
  const [detect, branch] = params.swml.sections.main
  expect(detect).toEqual({ detect_machine: { detectors: 'amd' } })
  expect(branch.switch.case).toEqual({ machine: [{ hangup: { reason: 'decline' } }] })
  expect(branch.switch.default).toEqual([
    {
      play: {
        urls: [
          'say:Your Acme code is: 7. 3. 5. 1. 9. 4.',
          'silence:1',
          'say:Once more: 7. 3. 5. 1. 9. 4.',
          'silence:3',
          'say:Your Acme code is: 7. 3. 5. 1. 9. 4.',
          'silence:1',
          'say:Once more: 7. 3. 5. 1. 9. 4.',
        ],
        say_language: 'en-US',
      },
    },
    { hangup: {} },
  ])
})

describe('an answer to a call', () => {
  const invalid = (code: string) => (request: HttpRequest) => request.json(422, { errors: [{ code }] })
  test.each<[string, (request: HttpRequest) => void, object]>([
    ['without an id', (r) => r.json(200, {}), { kind: 'unknown', reason: 'no_message_id' }],
    [
      'of a number that is none',
      invalid('invalid_to_number'),
      { kind: 'rejected', reason: 'refused_by_provider' },
    ],
    ['of our number', invalid('invalid_from_number'), { kind: 'rejected', reason: 'misconfigured' }],
    ['without funds', invalid('insufficient_balance'), { kind: 'rejected', reason: 'account_blocked' }],
    [
      'of a space that is none',
      (r) => r.json(404, { error: 'Not Found' }),
      { kind: 'busy', reason: 'misconfigured' },
    ],
    ['of a code nobody knows', invalid('x'), { kind: 'rejected', reason: 'refused_by_provider' }],
    [
      'without scope',
      (r) => r.json(401, { error: 'Unauthorized' }),
      { kind: 'busy', reason: 'credentials_refused' },
    ],
    ['too fast', (r) => r.json(429, { error: 'x' }), { kind: 'busy', reason: 'rate_limited' }],
    ['that is a fault', (r) => r.json(500, { error: 'x' }), { kind: 'unknown', reason: 'provider_fault' }],
    ['that never comes', () => {}, { kind: 'unknown', reason: 'timeout' }],
  ])('%s', async (_, onRequest, outcome) => {
    const server = await startScriptedRest(onRequest)
    expect(await restAt(server.url).send(CALL, NO_ABORT)).toEqual(outcome)
  })

  test('that is unknown is looked for in no log: there is none of calls', async () => {
    const server = await startScriptedRest((request) => request.json(200, { messages: [] }))
    expect(await restAt(server.url).find?.(CALL, 0, NO_ABORT)).toBe('unknowable')
    expect(server.requests).toEqual([])
  })
})

describe('the end of a call', () => {
  const ended = (params: object) => newsOfCall({ call_state: 'ended', ...params })
  test.each([
    ['hangup', { state: 'delivered' }],
    ['busy', { state: 'undelivered', reason: 'busy' }],
    ['noAnswer', { state: 'undelivered', reason: 'no answer' }],
    ['no_answer', { state: 'undelivered', reason: 'no answer' }],
    ['error', { state: 'failed', reason: 'call ended: error' }],
    [undefined, { state: 'failed', reason: 'call ended: undefined' }],
  ])('%s is %j', (end_reason, news) => {
    expect(ended({ end_reason })).toEqual(news)
    expect(ended({ end_reason, start_time: 1_700_000_000_000, answer_time: 1_700_000_009_000 })).toEqual(news)
  })

  test.each([
    ['after somebody took it is a machine: only our document declines then', 9_000, 'machine'],
    ['before anybody took it is a person who declined', 0, 'declined'],
    ['without a time of an answer is a person who declined', undefined, 'declined'],
    ['with null for that time is a person who declined', null, 'declined'],
  ])('decline %s', (_, answer_time, reason) => {
    const news = ended({ end_reason: 'decline', start_time: 1_000, answer_time })
    expect(news).toEqual({ state: 'undelivered', reason })
  })

  test('decline without any times may be either', () => {
    expect(ended({ end_reason: 'decline' })).toEqual({
      state: 'undelivered',
      reason: 'declined, or a machine',
    })
  })

  test.each(['created', 'ringing', 'answered', undefined])('is not %s', (call_state) => {
    expect(newsOfCall({ call_state, end_reason: 'hangup' })).toEqual({})
  })
})

describe('the sandbox', () => {
  test.each([
    ['0100', { state: 'delivered' }],
    ['0114', { state: 'undelivered', reason: 'busy' }],
    ['0115', { state: 'undelivered', reason: 'no answer' }],
    ['0116', { state: 'undelivered', reason: 'machine' }],
  ])('calls %s, shows what was said, and tells %j by a signed callback', async (ending, receipt) => {
    const { sandbox, url } = await startSandbox()
    const receiver = await receiveCallbacks()
    const publicUrl = new URL(receiver.url).origin
    const provider = restAt(url, `${publicUrl}/callbacks/signalwire`)
    const to = phone(ending)
    expect(await provider.send({ ...CALL, to }, NO_ABORT)).toMatchObject({ kind: 'accepted' })
    expect(sandbox.messages(to)).toMatchObject([
      { channel: 'call', body: expect.stringContaining('7. 3. 5. 1. 9. 4.') },
    ])
    await vi.waitFor(() => expect(receiver.posts).toHaveLength(1))
    const [post] = receiver.posts
    const read = createCallbackReader({ publicUrl, signingKeys: ['sandbox'] })
    const { path = '', type = '', signature = '', body = '' } = post ?? {}
    expect(read({ target: path, contentType: type, signature, body })).toEqual({
      kind: 'receipt',
      receipt: { messageId: sandbox.messages(to)[0]?.id, reference: CALL.reference, ...receipt },
    })
  })
})

test('a call that the token may not make stops no message: whether it is well is asked at once', async () => {
  const server = await startScriptedRest((request) =>
    request.url === '/api/calling/calls' ? request.json(403, {}) : request.json(201, { sid: 'm-1' }),
  )
  const provider = restAt(server.url)
  await expect.poll(() => provider.status()).toBe('ready')
  expect(await provider.send(CALL, NO_ABORT)).toEqual({ kind: 'busy', reason: 'credentials_refused' })
  expect(provider.status()).toBe('ready')
  await expect.poll(() => server.probes.length).toBe(2)
  server.onProbe = (request) => request.json(401, {})
  await provider.send(CALL, NO_ABORT)
  await expect.poll(() => provider.status()).toBe('unauthorized')
})
