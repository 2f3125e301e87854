/** Status callbacks: which are SignalWire's own, and what each says in our words. */
import { createHmac } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import { type Callback, createCallbackReader } from '#providers/signalwire-callbacks.ts'
import { createSignalWireRest } from '#providers/signalwire-rest.ts'
import { receiveCallbacks } from '#test/sandbox/callback-receiver.ts'
import { phone, postJson, startSandbox } from '#test/sandbox/clients.ts'
import { MESSAGE } from './relay-message.ts'

const PUBLIC_URL = 'https://2fa.example.com'
const TARGET = '/callbacks/signalwire?reference=shop%2F1%2F2'
const KEY = 'signing key'
const FORM = 'application/x-www-form-urlencoded'
const JSON_TYPE = 'application/json; charset=utf-8'

const mac = (text: string, key = KEY) => createHmac('sha1', key).update(text)
const read = createCallbackReader({ publicUrl: PUBLIC_URL, signingKeys: [KEY] })

function form(fields: Record<string, string>, url = `${PUBLIC_URL}${TARGET}`, key = KEY): Callback {
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    target: TARGET,
    contentType: FORM,
    signature: mac(url + sorted.flat().join(''), key).digest('base64'),
    body: new URLSearchParams(fields).toString(),
  }
}

function json(body: string, url = `${PUBLIC_URL}${TARGET}`): Callback {
  return { target: TARGET, contentType: JSON_TYPE, signature: mac(url + body).digest('hex'), body }
}

const DELIVERED = {
  MessageSid: 'm-1',
  MessageStatus: 'delivered',
  Body: 'Your code is 735194',
  AccountSid: 'p',
}

describe('a form', () => {
  test.each([
    ['queued', 'queued'],
    ['sending', 'initiated'],
    ['sent', 'sent'],
    ['delivered', 'delivered'],
    ['undelivered', 'undelivered'],
    ['failed', 'failed'],
  ])('that says %s is the receipt %s', (MessageStatus, state) => {
    expect(read(form({ ...DELIVERED, MessageStatus }))).toEqual({
      kind: 'receipt',
      receipt: { messageId: 'm-1', state, reference: 'shop/1/2' },
    })
  })

  test.each([
    ['in our table says our word', '30003', 'phone_unreachable'],
    ['nobody knows says the code', '39999', 'error 39999'],
  ])('with an error code %s as the reason', (_, ErrorCode, reason) => {
    expect(read(form({ ...DELIVERED, MessageStatus: 'undelivered', ErrorCode }))).toMatchObject({
      receipt: { state: 'undelivered', reason },
    })
  })

  test.each([
    ['of an inbound message', { ...DELIVERED, MessageStatus: 'received' }],
    ['without an id', { ...DELIVERED, MessageSid: '' }],
    ['without anything', {}],
  ])('%s is no news of ours', (_, fields) => {
    expect(read(form(fields))).toEqual({ kind: 'nothing' })
  })
})

describe('JSON', () => {
  test('is a receipt by its status', () => {
    const body = JSON.stringify({
      id: 'm-2',
      status: 'failed',
      error_code: 'x',
      error_message: 'to +12025550123 no',
    })
    expect(read(json(body))).toEqual({
      kind: 'receipt',
      receipt: { messageId: 'm-2', state: 'failed', reference: 'shop/1/2', reason: 'to + no' },
    })
  })

  test.each(['{', 'null', '[]', '{"id":7,"status":"sent"}', ''])('that is %s is no news of ours', (body) => {
    expect(read(json(body))).toEqual({ kind: 'nothing' })
  })
})

describe('a signature', () => {
  test.each([
    ['over the port of the scheme', form(DELIVERED, `${PUBLIC_URL}:443${TARGET}`)],
    ['over the port of the scheme, JSON', json('{"id":"m","status":"sent"}', `${PUBLIC_URL}:443${TARGET}`)],
  ])('%s is taken', (_, callback) => {
    expect(read(callback).kind).toBe('receipt')
  })

  test('of any configured key is taken, of one that was dropped is not', () => {
    const during = createCallbackReader({ publicUrl: PUBLIC_URL, signingKeys: [KEY, 'newer', 'newest'] })
    const after = createCallbackReader({ publicUrl: PUBLIC_URL, signingKeys: ['newest'] })
    const kindsOf = (key: string) => {
      const callback = form(DELIVERED, undefined, key)
      return [during(callback).kind, after(callback).kind]
    }
    for (const key of [KEY, 'newer']) expect(kindsOf(key)).toEqual(['receipt', 'forged'])
    expect(kindsOf('newest')).toEqual(['receipt', 'receipt'])
    for (const key of ['another', '']) expect(kindsOf(key)).toEqual(['forged', 'forged'])
  })

  const good = form(DELIVERED)
  test.each<[string, Callback]>([
    ['that is missing', { ...good, signature: '' }],
    ['with another character', { ...good, signature: `A${good.signature.slice(1)}` }],
    ['that is longer', { ...good, signature: `${good.signature}=` }],
    ['of other bytes than ASCII', { ...good, signature: 'é'.repeat(14) }],
    ['of another key', form(DELIVERED, undefined, 'another')],
    ['of another address', form(DELIVERED, `https://evil.example.com${TARGET}`)],
    ['of another reference', { ...good, target: TARGET.replace('%2F2', '%2F3') }],
    ['of no encryption', form(DELIVERED, `http://2fa.example.com${TARGET}`)],
    ['of another port', form(DELIVERED, `${PUBLIC_URL}:444${TARGET}`)],
    ['of other fields', { ...good, body: good.body.replace('delivered', 'failed') }],
    ['of a form as JSON', { ...good, contentType: JSON_TYPE }],
    ['of JSON as a form', { ...json('{}'), contentType: FORM }],
    ['of JSON with a space more', { ...json('{}'), body: '{} ' }],
  ])('%s is none', (_, callback) => {
    expect(read(callback)).toEqual({ kind: 'forged' })
  })

  test.each([
    ['https://example.com/2fa/', 'https://example.com/2fa'],
    ['https://example.com:8443', 'https://example.com:8443'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://example.com', 'http://example.com:80'],
  ])('under %s is over %s', (publicUrl, origin) => {
    const reader = createCallbackReader({ publicUrl, signingKeys: [KEY] })
    expect(reader(form(DELIVERED, `${origin}${TARGET}`)).kind).toBe('receipt')
  })
})

describe('what the sandbox posts', () => {
  async function posted(ending: string, post: (url: string, callbackUrl: string) => Promise<unknown>) {
    const { url } = await startSandbox({ signingKey: KEY })
    const receiver = await receiveCallbacks()
    const publicUrl = new URL(receiver.url).origin
    await post(url, `${publicUrl}/callbacks/signalwire`)
    const reader = createCallbackReader({ publicUrl, signingKeys: [KEY] })
    await vi.waitFor(() => expect(receiver.posts.length).toBe(ending === '0103' ? 2 : 4))
    return receiver.posts.map(({ path, type, signature, body }) =>
      reader({ target: path, contentType: type, signature, body }),
    )
  }

  test('of a message of ours is its receipts, with our reference', async () => {
    const said = await posted('0102', async (url, callbackUrl) => {
      const provider = createSignalWireRest({ project: 'p', token: 't', baseUrl: url, callbackUrl })
      await provider.send({ ...MESSAGE, to: phone('0102') }, new AbortController().signal)
      await provider.close()
    })
    expect(said.map((one) => one.kind === 'receipt' && one.receipt.state)).toEqual([
      'queued',
      'initiated',
      'sent',
      'undelivered',
    ])
    expect(said.at(-1)).toMatchObject({
      receipt: { reference: MESSAGE.reference, reason: 'phone_unreachable' },
    })
  })

  test('of the newer API is its receipts too', async () => {
    const said = await posted('0103', (url, status_callback) =>
      postJson(`${url}/api/messaging/messages`, {
        to: phone('0103'),
        from: '+12025550199',
        body: 'x',
        status_callback,
      }),
    )
    expect(said).toMatchObject([
      { receipt: { state: 'queued' } },
      { receipt: { state: 'failed', reason: 'not_reachable' } },
    ])
  })
})
