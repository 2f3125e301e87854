/** `POST /callbacks/signalwire` as SignalWire and as somebody else calls it, into the ledger. */
import { describe, expect, it } from 'vitest'
import { createReceipts } from '#receipts/receipts.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import { apiOn, expectProblem, jsonOf } from './api.ts'
import { PATH, signedForm } from './callbacks.ts'

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
    const { path, body, headers } = signedForm('', { Body: 'x'.repeat(9_000) })
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
  const receipts = createReceipts({ deliveries: api.store.deliveries, alarm: () => {}, log: silentLog })
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
