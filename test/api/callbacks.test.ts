/** `POST /callbacks/signalwire` as SignalWire and as somebody else calls it, into the ledger. */
import { describe, expect, it, vi } from 'vitest'
import { createReceipts } from '#receipts/receipts.ts'
import { StoreFault } from '#store/script.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import { apiOn, expectProblem, jsonOf } from './api.ts'
import { INBOUND_PATH, PATH, signedForm } from './callbacks.ts'

const connection = useRedis()
describe('a callback', () => {
  it('that is signed is taken, and says nothing back', async () => {
    const api = apiOn(connection.redis)
    const { path, body, headers } = signedForm('?reference=a%2Fb%2F1', {
      MessageSid: 'm',
      MessageStatus: 'sent',
    })
    const response = await api.postText(path, body, headers)
    expect([response.status, await response.text()]).toEqual([204, ''])
    expect(api.receipts).toEqual([{ messageId: 'm', state: 'sent', reference: 'a/b/1' }])
  })

  it('under Twilio’s name of the header is taken too', async () => {
    const api = apiOn(connection.redis)
    const { path, body, headers } = signedForm('', { MessageSid: 'm', MessageStatus: 'sent' })
    const { 'X-SignalWire-Signature': signature, ...rest } = headers
    expect((await api.postText(path, body, { ...rest, 'X-Twilio-Signature': signature })).status).toBe(204)
    expect(api.receipts).toHaveLength(1)
  })

  it.each([
    [
      'without a signature',
      (headers: Record<string, string>) => ({ 'Content-Type': headers['Content-Type'] ?? '' }),
    ],
    [
      'with another’s',
      (headers: Record<string, string>) => ({ ...headers, 'X-SignalWire-Signature': 'x'.repeat(28) }),
    ],
  ])('%s is 403, and nothing is taken', async (_, change) => {
    const api = apiOn(connection.redis)
    const { path, body, headers } = signedForm('', { MessageSid: 'm', MessageStatus: 'sent' })
    await expectProblem(await api.postText(path, body, change(headers)), 403, 'bad_signature')
    expect(api.receipts).toEqual([])
  })

  it.each([
    ['cannot be stored', async () => false],
    ['is not stored within a second', () => new Promise<boolean>(() => {})],
  ])('whose news %s is told to come again', async (_, storesReceipts) => {
    const api = apiOn(connection.redis, { storesReceipts })
    const { path, body, headers } = signedForm('', { MessageSid: 'm', MessageStatus: 'sent' })
    const askedAt = performance.now()
    const response = await api.postText(path, body, headers)
    expect(performance.now() - askedAt).toBeLessThan(2_000)
    expect(response.headers.get('Retry-After')).toBe('1')
    await expectProblem(response, 503, 'service_unavailable')
  })

  it('that is signed and no news of ours is let go', async () => {
    const api = apiOn(connection.redis)
    const { path, body, headers } = signedForm('', { CallSid: 'c', CallStatus: 'ringing' })
    expect((await api.postText(path, body, headers)).status).toBe(204)
    expect(api.receipts).toEqual([])
  })

  it('leaves a line without the text, the code or the number', async () => {
    const api = apiOn(connection.redis)
    const { id, to, code } = await api.start()
    const fields = { MessageSid: 'm', MessageStatus: 'delivered', To: to, Body: `${code} is your code` }
    const { path, body, headers } = signedForm(`?reference=default%2F${id}%2F1`, fields)
    await api.postText(path, body, headers)
    expect(api.lines.at(-1)).toMatchObject({
      route: PATH,
      status: 204,
      verification: id,
      result: 'delivered',
    })
  })

  it('that is too large is refused before it is read', async () => {
    const api = apiOn(connection.redis)
    const { path, body, headers } = signedForm('', { Body: 'x'.repeat(33_000) })
    await expectProblem(
      await api.postText(path, body, { ...headers, 'Content-Length': String(body.length) }),
      413,
      'body_too_large',
    )
  })
})

it('without an address of ours there is no such route', async () => {
  const api = apiOn(connection.redis, { config: { callbacks: undefined } })
  const { path, body, headers } = signedForm('', { MessageSid: 'm', MessageStatus: 'sent' })
  await expectProblem(await api.postText(path, body, headers), 404, 'not_found')
})

it('callbacks out of order and twice leave the ledger at the furthest', async () => {
  const api = apiOn(connection.redis)
  const { id } = await api.start()
  const receipts = createReceipts({
    deliveries: api.store.deliveries,
    forMs: 300_000,
    alarm: () => {},
    log: silentLog,
  })
  for (const MessageStatus of ['delivered', 'queued', 'undelivered', 'delivered', 'sending']) {
    const { path, body, headers } = signedForm(`?reference=default%2F${id}%2F1`, {
      MessageSid: 'm-9',
      MessageStatus,
    })
    await api.postText(path, body, headers)
  }
  for (const receipt of api.receipts) {
    receipts.take(receipt)
    await receipts.settled()
  }
  const view = await jsonOf(await api.get(`/v1/verifications/${id}`), 200)
  expect(view.sends).toMatchObject([{ status: 'delivered', provider_message_id: 'm-9' }])
})

describe('a message to one of our numbers', () => {
  const messageFrom = (From: string, Body: string, more: Record<string, string> = {}) =>
    signedForm(
      '',
      { MessageSid: 'in-1', From, To: '+12025550199', Body, NumMedia: '0', ...more },
      INBOUND_PATH,
    )

  it('that says STOP is heeded before it is answered, with a document that orders nothing', async () => {
    const api = apiOn(connection.redis)
    const { to } = await api.start()
    const { path, body, headers } = messageFrom(to, 'Stop please')
    const response = await api.postText(path, body, headers)
    expect([response.status, response.headers.get('Content-Type')]).toEqual([200, 'text/xml; charset=utf-8'])
    expect(await response.text()).toBe('<?xml version="1.0" encoding="UTF-8"?><Response></Response>')
    await expectProblem(await api.post('/v1/verifications', { to }), 403, 'recipient_opted_out')
    expect(await api.store.suppressions.takeUnanswered(10)).toMatchObject({
      taken: 1,
      replies: [{ keyword: 'stop', destination: to, sender: '+12025550199' }],
    })
    expect(JSON.stringify(api.lines)).not.toContain('please')
  })

  it.each(['\u8acb', '\u0939', '\u{1f600}'])(
    'that says STOP before the longest text there can be is heeded, whatever letters follow: %s',
    async (letter) => {
      const api = apiOn(connection.redis)
      const { to } = await api.start()
      const { path, body, headers } = messageFrom(to, `STOP. ${letter.repeat(1_594 / letter.length)}`)
      const stated = { ...headers, 'Content-Length': String(body.length) }
      expect((await api.postText(path, body, stated)).status).toBe(200)
      await expectProblem(await api.post('/v1/verifications', { to }), 403, 'recipient_opted_out')
    },
  )

  it('that says nothing of that kind changes nothing', async () => {
    const api = apiOn(connection.redis)
    const { to } = await api.start()
    for (const { path, body, headers } of [
      messageFrom(to, 'Thank you'),
      messageFrom('', 'STOP'),
      messageFrom(to, 'STOP', { To: 'ours' }),
      signedForm('', { CallSid: 'c', CallStatus: 'ringing' }, INBOUND_PATH),
    ]) {
      expect((await api.postText(path, body, headers)).status).toBe(200)
    }
    expect(await api.store.suppressions.takeUnanswered(10)).toEqual({ taken: 0, replies: [] })
    await jsonOf(await api.post('/v1/verifications', { to, purpose: 'payment' }), 202)
  })

  it.each<[string, (signed: ReturnType<typeof signedForm>) => ReturnType<typeof signedForm>]>([
    ['without a signature', (s) => ({ ...s, headers: { ...s.headers, 'X-SignalWire-Signature': '' } })],
    [
      'from another number than was signed',
      (s) => ({ ...s, body: s.body.replace('From=%2B1', 'From=%2B44') }),
    ],
    [
      'signed for the other address',
      (s) => ({ ...signedForm('', Object.fromEntries(new URLSearchParams(s.body))), path: INBOUND_PATH }),
    ],
  ])('%s is 403, and nobody is opted out', async (_, change) => {
    const api = apiOn(connection.redis)
    const { to } = await api.start()
    const { path, body, headers } = change(messageFrom(to, 'STOP'))
    await expectProblem(await api.postText(path, body, headers), 403, 'bad_signature')
    expect(await api.store.suppressions.takeUnanswered(10)).toEqual({ taken: 0, replies: [] })
  })

  it('while Redis is away is 503 within two seconds, and is heeded once it is back', async () => {
    const api = apiOn(connection.redis)
    const { to } = await api.start()
    const { heed } = api.store.suppressions
    api.store.suppressions.heed = () => Promise.reject(new StoreFault('Redis is away'))
    const { path, body, headers } = messageFrom(to, 'STOP')
    const startedAt = performance.now()
    await expectProblem(await api.postText(path, body, headers), 503, 'service_unavailable')
    expect(performance.now() - startedAt).toBeLessThan(2_500)
    api.store.suppressions.heed = heed
    await vi.waitFor(async () => expect((await api.post('/v1/verifications', { to })).status).toBe(403), {
      timeout: 5_000,
      interval: 50,
    })
  })

  it('that is lost is 503', async () => {
    const api = apiOn(connection.redis)
    api.store.suppressions.heed = () => Promise.reject(new Error('a fault of ours'))
    const { path, body, headers } = messageFrom('+12025550123', 'STOP')
    await expectProblem(await api.postText(path, body, headers), 503, 'service_unavailable')
  })
})
