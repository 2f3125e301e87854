/**
 * Codes that are returned, logged or carried along, and news that somebody made up.
 */
import { describe, expect, it } from 'vitest'
import { createReceipts } from '#receipts/receipts.ts'
import { apiOn, expectNoSecret, expectProblem, jsonOf } from '#test/api/api.ts'
import { signedForm } from '#test/api/callbacks.ts'
import { listen } from '#test/api/port.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import type { Application, VerificationId } from '#verification/verification.ts'
import { codeOnForm, elsewhere, START, strangerAt } from './stranger.ts'

const connection = useRedis()

describe('a code that is returned, logged or carried along:', () => {
  it('is in no answer of any route, nor is the whole number, whatever is asked for besides', async () => {
    const api = apiOn(connection.redis, { policy: { resendWaitsMs: [0, 0] } })
    const to = elsewhere()
    const answers: Response[] = [
      await api.post(`${START}?returnCode=true&debug=1`, { to }, { 'X-Debug': '1' }),
    ]
    const { id } = await jsonOf((answers[0] as Response).clone(), 202)
    const code = await api.codeOf(String(id))
    answers.push(
      await api.get(`${START}/${id}?include=code`),
      await api.send('POST', `${START}/${id}/sends`),
      await api.post('/v1/checks', { to, code: code === '000000' ? '000001' : '000000' }),
      await api.post(`${START}/${id}/checks`, { code }),
      await api.send('DELETE', `${START}/${id}`),
    )
    for (const answer of answers) {
      const text = `${await answer.text()} ${[...answer.headers].join(' ')}`
      expectNoSecret(text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'))
      expect(text).not.toContain(to.slice(1))
    }
  })

  it('is not quoted by an error about it, nor by the line of the log', async () => {
    const api = apiOn(connection.redis)
    const { to, code, checks } = await api.start()
    const bodies = [
      `{"code":"${code}"`,
      `{"code":"${code}","x${code}":1}`,
      `{"code":["${code}"]}`,
      `{"code":"${to}"}`,
    ]
    for (const body of bodies) {
      const response = await api.postText(checks, body, { 'Content-Type': 'application/json' })
      expect(response.status).toBe(400)
      const text = (await response.text()).replace(`x${code}`, '')
      expect(text).not.toContain(code)
      expect(text).not.toContain(to)
    }
    for (const line of api.lines) expect(JSON.stringify(line)).not.toContain(code)
  })

  it('is not taken from an address, where access logs would keep it', async () => {
    const api = apiOn(connection.redis)
    const { to, code } = await api.start()
    const query = `number=${encodeURIComponent(to)}&auth_code=${code}`
    expect((await api.get(`/validate-auth?${query}`)).status).toBe(405)
    expect((await api.post(`/validate-auth?${query}`, {})).status).toBe(403)
    for (const line of api.lines) expect(JSON.stringify(line)).not.toContain(code)
  })

  it('is not in the job that wakes a worker: ids alone', async () => {
    const api = apiOn(connection.redis)
    const { id } = await api.start()
    expect(api.enqueued).toEqual([{ application: 'default', verification: id, send: 1 }])
  })

  it('is not on the page, and neither is what was typed as one', async () => {
    const api = apiOn(connection.redis)
    const to = elsewhere()
    const page = await (await strangerAt(api).ask(to)).text()
    const code = await codeOnForm(api, to)
    expect(page).not.toContain(code)
    expect(await (await strangerAt(api).guess(to, `${code}0`)).text()).not.toContain(code)
  })
})

describe('news that somebody made up:', () => {
  it('a callback that is not signed, or was changed, or is older than what is known moves nothing', async () => {
    const api = apiOn(connection.redis)
    const receipts = createReceipts({
      deliveries: api.store.deliveries,
      forMs: 300_000,
      alarm: () => {},
      log: silentLog,
    })
    const { id } = await api.start()
    const send = { application: 'default' as Application, verification: id as VerificationId, send: 1 }
    await api.store.deliveries.claim(send, 'token')
    const news = (MessageStatus: string) =>
      signedForm(`?reference=default%2F${id}%2F1`, { MessageSid: 'm1', MessageStatus })
    const forged = news('delivered')
    await expectProblem(
      await api.postText(forged.path, forged.body, {
        ...forged.headers,
        'X-SignalWire-Signature': news('sent').headers['X-SignalWire-Signature'],
      }),
      403,
      'bad_signature',
    )
    const status = async () => {
      for (const receipt of api.receipts.splice(0)) receipts.take(receipt)
      await receipts.settled()
      return (await jsonOf(await api.get(`${START}/${id}`), 200)).delivery
    }
    expect(await status()).toMatchObject({ status: 'submitting' })
    const seen = []
    for (const { path, body, headers } of [news('delivered'), news('sent'), news('failed')]) {
      await api.postText(path, body, headers)
      seen.push(await status())
    }
    expect(seen).toMatchObject(Array(3).fill({ status: 'delivered' }))
  })

  it('another site’s page has no code sent from a visitor’s browser, not even by an image', async () => {
    const api = apiOn(connection.redis, { config: { pythonRoutes: true } })
    const { origin } = await listen(api.app)
    const number = elsewhere()
    const crossed = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }
    const image = await fetch(`${origin}/request-auth?number=${number.slice(1)}`, { headers: crossed })
    const form = await fetch(`${origin}/request-auth`, {
      method: 'POST',
      body: new URLSearchParams({ number }),
      headers: { Origin: 'https://elsewhere.example' },
    })
    expect([image.status, form.status]).toEqual([403, 403])
    expect(api.enqueued).toEqual([])
  })
})
