/**
 * Holes through which the codes of other systems were guessed, each tried on the API as it stands. CVEs and issues name
 * where such a hole was found.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import type { Verifications } from '#store/verifications.ts'
import { apiKey, apiOn, expectProblem, jsonOf, KEYS } from '#test/api/api.ts'
import { listen } from '#test/api/port.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { wrongFor } from '#test/fixtures/store.ts'
import type { Policy } from '#verification/policy.ts'
import {
  as,
  begin,
  codeOnForm,
  elsewhere,
  exhaust,
  SENDS_FREE,
  SHOP,
  START,
  strangerAt,
  tally,
  times,
  verdictOf,
} from './stranger.ts'

const connection = useRedis()

const victimsApi = (policy: Partial<Policy> = {}) =>
  apiOn(connection.redis, { policy: { ...SENDS_FREE, ...policy } })

describe('no limit on checks (CVE-2025-64102, CVE-2026-33640, casdoor#5250):', () => {
  it('of five hundred guesses in a burst five are judged, and the right code among the rest says nothing', async () => {
    const api = victimsApi()
    const { checks, code, wrong } = await begin(api)
    const guesses = times(500, () => api.post(checks, { code: wrong }))
    const verdicts = await Promise.all((await Promise.all(guesses)).map(verdictOf))
    expect(tally(verdicts)).toEqual({ wrong: 5, exhausted: 495 })
    expect(await verdictOf(await api.post(checks, { code }))).toBe('exhausted')
  })

  it('guesses by number, by id and with the payment left out or added have one budget', async () => {
    const api = victimsApi()
    const { to, checks, code, wrong } = await begin(api)
    const context = { amount: '1.00', currency: 'EUR', payee: 'Shop' }
    const guesses = [{ code: wrong }, { code, context }, { code: wrong, client_ip: '192.0.2.1' }]
    for (const guess of guesses) await api.post(checks, guess)
    await api.post('/v1/checks', { to, code: wrong })
    const fifth = await jsonOf(await api.post('/v1/checks', { to, code: wrong }), 200)
    expect(fifth).toMatchObject({ result: 'wrong', checks_left: 0 })
    expect(await verdictOf(await api.post(checks, { code }))).toBe('exhausted')
  })

  it('a limit is asked when a code is checked, not only when one is made (CVE-2026-8760)', async () => {
    const api = victimsApi()
    const to = elsewhere()
    for (const _ of [1, 2]) await exhaust(api, await begin(api, to, { purpose: `p${_}` }))
    const third = await api.post(START, { to, purpose: 'p3' })
    await expectProblem(third, 429, 'check_limit')
    const other = victimsApi({ wrongCheckLimits: [{ name: 'test', max: 1, windowMs: 60_000 }] })
    const { checks, code, wrong } = await begin(other)
    await other.post(checks, { code: wrong })
    await expectProblem(await other.post(checks, { code }), 429, 'check_limit')
  })

  it('an Idempotency-Key for each guess is no way around the count', async () => {
    const api = victimsApi()
    const { checks, wrong } = await begin(api)
    const verdicts = []
    for (let key = 0; key < 7; key++)
      verdicts.push(
        await verdictOf(await api.post(checks, { code: wrong }, { 'Idempotency-Key': `k${key}` })),
      )
    expect(tally(verdicts)).toEqual({ wrong: 5, exhausted: 2 })
  })

  it('the form has the same budget, in forms and in JSON', async () => {
    const api = victimsApi()
    const to = elsewhere()
    await strangerAt(api).ask(to)
    const code = await codeOnForm(api, to)
    const wrong = wrongFor(code)
    for (let tries = 0; tries < 3; tries++) await strangerAt(api).guess(to, wrong)
    for (let tries = 0; tries < 2; tries++) await api.post('/validate-auth', { number: to, auth_code: wrong })
    expect((await strangerAt(api).guess(to, code)).status).toBe(403)
  })
})

describe('a budget that comes back (better-auth#11162):', () => {
  it('a resend gives no try back', async () => {
    const api = victimsApi()
    const { id, checks, wrong } = await begin(api)
    for (let tries = 0; tries < 4; tries++) await api.post(checks, { code: wrong })
    await api.send('POST', `${START}/${id}/sends`)
    expect(await jsonOf(await api.post(checks, { code: wrong }), 200)).toMatchObject({ checks_left: 0 })
  })

  it.each<[string, (round: number) => object]>([
    ['new verifications', () => ({})],
    ['a new purpose each time', (round) => ({ purpose: `p${round}` })],
    ['a new client_ip each time', (round) => ({ client_ip: `192.0.2.${round}` })],
    ['a new language each time', (round) => ({ locale: ['en', 'de', 'fr'][round] })],
  ])('%s have the ten wrong codes of the number together', async (_, more) => {
    const api = victimsApi()
    const to = elsewhere()
    const judged = []
    for (let round = 0; round < 3; round++) {
      const started = await api.post(START, { to, ...more(round) })
      if (started.status !== 202) break
      const { id } = await jsonOf(started, 202)
      const code = wrongFor(await api.codeOf(String(id)))
      for (let tries = 0; tries < 5; tries++)
        judged.push(await verdictOf(await api.post(`${START}/${id}/checks`, { code })))
      await api.send('DELETE', `${START}/${id}`)
    }
    expect(tally(judged)).toEqual({ wrong: 10 })
  })

  it('an API that starts anew on the same Redis knows every wrong code', async () => {
    const before = victimsApi()
    const { checks, wrong, code } = await begin(before)
    for (let tries = 0; tries < 5; tries++) await before.post(checks, { code: wrong })
    const after = apiOn(connection.redis, { policy: SENDS_FREE, same: before.store })
    expect(await verdictOf(await after.post(checks, { code }))).toBe('exhausted')
  })

  it('a second key of the application is no second budget', async () => {
    const keys = [apiKey('shop', KEYS.shop), apiKey('shop', KEYS.bank)]
    const api = apiOn(connection.redis, { config: { apiKeys: keys }, policy: SENDS_FREE })
    const { to, checks, wrong } = await api.start(as(KEYS.shop), SHOP)
    for (let tries = 0; tries < 4; tries++) await api.post(checks, { code: wrong }, as(KEYS.shop))
    const last = await api.post('/v1/checks', { to, code: wrong }, as(KEYS.bank))
    expect(await jsonOf(last, 200)).toMatchObject({ checks_left: 0 })
  })
})

describe('races (GHSA-7h8m-vrxx-vr4m, CVE-2026-93346, better-auth#8067):', () => {
  it('a right code sent two hundred times at once to two APIs is approved once', async () => {
    const one = victimsApi()
    const other = apiOn(connection.redis, { policy: SENDS_FREE, same: one.store })
    const { to, checks, code } = await begin(one)
    const race = times(200, (index) => {
      const api = index % 2 === 0 ? one : other
      return index % 3 === 0 ? api.post('/v1/checks', { to, code }) : api.post(checks, { code })
    })
    const verdicts = await Promise.all((await Promise.all(race)).map(verdictOf))
    expect(tally(verdicts)).toEqual({ approved: 1, already_used: 199 })
  })

  it('wrong codes sent at once to two APIs do not outrun the count', async () => {
    const one = victimsApi()
    const other = apiOn(connection.redis, { policy: SENDS_FREE, same: one.store })
    const { checks, wrong } = await begin(one)
    const race = times(100, (index) => [one, other][index % 2]?.post(checks, { code: wrong }))
    const verdicts = await Promise.all(
      (await Promise.all(race)).map((response) => response && verdictOf(response)),
    )
    expect(tally(verdicts)).toEqual({ wrong: 5, exhausted: 95 })
  })

  it('a guess whose answer nobody waits for is counted all the same (CVE-2026-35597)', async () => {
    const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const before = (verifications: Verifications): Verifications => ({
      ...verifications,
      async check(request) {
        asked.resolve()
        await released.promise
        return verifications.check(request)
      },
    })
    const api = apiOn(connection.redis, { policy: SENDS_FREE, before })
    const { port } = await listen(api.app)
    const { id, checks, wrong } = await begin(api)
    const body = JSON.stringify({ code: wrong })
    const socket = connect(port, '127.0.0.1')
    const head = `POST ${checks} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
    socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
    await asked.promise
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({ checks_left: 5 })
    socket.resetAndDestroy()
    await once(socket, 'close')
    released.resolve()
    await vi.waitFor(() => expect(api.lines.at(-1)?.route).toBe(`${START}/:id/checks`))
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({ checks_left: 4 })
  })

  it('a new code and a check of the old one at once: never both', async () => {
    const api = victimsApi({ resendCode: 'new' })
    for (let round = 0; round < 20; round++) {
      const { id, checks, code } = await begin(api)
      const [checked, resent] = await Promise.all([
        api.post(checks, { code }),
        api.send('POST', `${START}/${id}/sends`),
      ])
      const approved = (await verdictOf(checked)) === 'approved'
      expect({ approved, resent: resent.status }).toEqual({ approved, resent: approved ? 409 : 202 })
    }
  })
})
