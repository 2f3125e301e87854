/**
 * What a stranger, or another application, can do so that a person gets no code or cannot use it.
 */
import { describe, expect, it } from 'vitest'
import { type Api, apiOn, expectProblem, FORM_APPLICATION, jsonOf, KEYS, WITH_KEYS } from '#test/api/api.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { DEFAULT_RULES } from '#verification/gate.ts'
import type { Application, SendReference, VerificationId } from '#verification/verification.ts'
import { as, codeOnForm, elsewhere, freshPrefix, rule, SHOP, START, strangerAt } from './stranger.ts'

const connection = useRedis()

const PEOPLE = '198.51.100.7'

/** For each start at the form that was answered, whether a message is to leave. */
async function sentOnForm(api: Api): Promise<boolean[]> {
  const keyOf = ({ verification }: SendReference) =>
    api.store.keys.verification(FORM_APPLICATION, verification)
  const states = api.enqueued.map((send) => connection.redis.hget(keyOf(send), '1:state'))
  return (await Promise.all(states)).map((state) => state !== 'suppressed')
}

describe('a person locked out by a stranger (privacyidea#933):', () => {
  it('five wrong guesses end one code; the next is asked for at once, and approved', async () => {
    const api = apiOn(connection.redis)
    const begun = await api.start()
    for (let tries = 0; tries < 5; tries++) await api.post(begun.checks, { code: begun.wrong })
    const { id } = await jsonOf(await api.post(START, { to: begun.to }), 202)
    const code = await api.codeOf(String(id))
    expect(await jsonOf(await api.post(`${START}/${id}/checks`, { code }), 200)).toMatchObject({
      result: 'approved',
    })
  })

  it('whatever is done at the open form, an application still reaches the same number', async () => {
    const api = apiOn(connection.redis, { config: WITH_KEYS, policy: { resendWaitsMs: [0, 0, 0] } })
    const to = elsewhere()
    for (let turn = 0; turn < 12; turn++) {
      const stranger = strangerAt(api, `192.0.2.${turn}`)
      await stranger.ask(to)
      for (let tries = 0; tries < 5; tries++) await stranger.guess(to, '012345')
    }
    expect((await strangerAt(api).ask(to)).status).toBe(429)
    const { id } = await jsonOf(await api.post(START, { to }, as(KEYS.shop)), 202)
    const code = await api.codeOf(String(id), SHOP)
    const checked = await api.post(`${START}/${id}/checks`, { code }, as(KEYS.shop))
    expect(await jsonOf(checked, 200)).toMatchObject({ result: 'approved' })
  })

  it('asking for a row of neighbours at the open form leaves the prefix, its range and its region to applications', async () => {
    const rules = DEFAULT_RULES.filter(({ scope }) => scope !== 'form')
    const api = apiOn(connection.redis, { config: { ...WITH_KEYS, formChallenge: 'off' }, policy: { rules } })
    const numberAt = freshPrefix()
    for (let index = 0; index < 20; index++) {
      const to = numberAt((index % 4) * 1_000 + index)
      expect((await strangerAt(api, `192.0.${index % 4}.9`).ask(to)).status).toBe(200)
    }
    await jsonOf(await api.post(START, { to: numberAt(7) }, as(KEYS.shop)), 202)
    const shared = await connection.redis.keys(`${api.store.keys.every().slice(0, -1)}@[xr]:*`)
    // The prefix, with its ranges, and the region.
    expect(shared.filter((key) => !/@[xr]:form:/.test(key))).toHaveLength(2)
  })

  it('codes of the open form that are never typed in hold back no application’s', async () => {
    const rules = DEFAULT_RULES.filter(({ counts, mode }) => counts === 'conversion' && mode === 'block')
    const api = apiOn(connection.redis, { config: WITH_KEYS, policy: { rules } })
    const numberAt = freshPrefix()
    for (let index = 0; index < 20; index++) {
      await strangerAt(api).ask(numberAt(index))
      const send = api.enqueued.at(-1)
      if (!send) throw new Error('nothing was sent')
      await api.store.deliveries.claim(send, 'token')
      await api.store.verifications.cancel(FORM_APPLICATION, send.verification)
    }
    expect((await strangerAt(api).ask(numberAt(500))).status).toBe(200)
    expect((await sentOnForm(api)).at(-1), 'the form is held back').toBe(false)
    await jsonOf(await api.post(START, { to: numberAt(501) }, as(KEYS.shop)), 202)
  })

  it.each([
    ['sends', 'form_hour'],
    ['money', 'form_spend_hour'],
  ])('the open form uses up its own budget of %s, and not that of all', async (_, name) => {
    const rules = DEFAULT_RULES.filter((known) => known.name === name || known.scope === 'overall')
    const prices = { US: name === 'form_hour' ? 1_000 : 50_000, '*': 300_000 }
    const api = apiOn(connection.redis, { config: WITH_KEYS, policy: { rules, prices } })
    for (let index = 0; index < 60; index++) await strangerAt(api).ask(elsewhere())
    const sent = (await sentOnForm(api)).filter(Boolean)
    expect(sent).toHaveLength(name === 'form_hour' ? 50 : 25)
    await jsonOf(await api.post(START, { to: elsewhere() }, as(KEYS.shop)), 202)
  })

  it('guesses where no code was asked for take nothing from the number, nor from anybody but the guesser', async () => {
    const api = apiOn(connection.redis)
    const to = elsewhere()
    for (let turn = 0; turn < 60; turn++) await strangerAt(api, `192.0.${turn}.1`).guess(to, '012345')
    const meters = await connection.redis.keys(`${api.store.keys.every().slice(0, -1)}@[ao]:*`)
    expect(meters).toEqual([])
    const owner = strangerAt(api, PEOPLE)
    expect((await owner.ask(to)).status).toBe(200)
    expect((await owner.guess(to, await codeOnForm(api, to))).status).toBe(200)
  })

  it('an application that names somebody else’s address shuts them out nowhere but at itself', async () => {
    const policy = { rules: [rule('ip', 'sends', 2)], resendWaitsMs: [0] }
    const api = apiOn(connection.redis, { config: WITH_KEYS, policy })
    const asked = (key: string) => api.post(START, { to: elsewhere(), client_ip: PEOPLE }, as(key))
    const statuses = []
    for (const key of [KEYS.shop, KEYS.shop, KEYS.shop, KEYS.bank]) statuses.push((await asked(key)).status)
    expect(statuses).toEqual([202, 202, 429, 202])
    expect((await strangerAt(api, PEOPLE).ask(elsewhere())).status).toBe(200)
  })

  it('wrong codes in somebody else’s address shut nobody out but at that application', async () => {
    const api = apiOn(connection.redis, { config: WITH_KEYS })
    for (let turn = 0; turn < 5; turn++) {
      const { checks, wrong } = await api.start(as(KEYS.shop), SHOP)
      for (let tries = 0; tries < 5; tries++)
        await api.post(checks, { code: wrong, client_ip: PEOPLE }, as(KEYS.shop))
    }
    const to = elsewhere()
    await strangerAt(api, PEOPLE).ask(to)
    expect((await strangerAt(api, PEOPLE).guess(to, await codeOnForm(api, to))).status).toBe(200)
  })

  it('asking again and again while refused makes no wait longer', async () => {
    const api = apiOn(connection.redis)
    const to = elsewhere()
    await api.post(START, { to })
    const waits = []
    for (let turn = 0; turn < 20; turn++)
      waits.push(Number((await api.post(START, { to })).headers.get('Retry-After')))
    expect(Math.max(...waits)).toBe(30)
  })

  it('codes that are never typed in hold back a prefix, and only ask its region for a challenge', async () => {
    const ofRegion = DEFAULT_RULES.filter(
      ({ scope, counts }) => scope === 'region' && counts === 'conversion',
    )
    expect(ofRegion.map(({ mode }) => mode)).toEqual(['challenge'])
    const rules = DEFAULT_RULES.filter(({ counts }) => counts === 'conversion')
    const api = apiOn(connection.redis, { policy: { rules } })
    const numberAt = freshPrefix()
    for (let index = 0; index < 20; index++) {
      const { id } = await jsonOf(await api.post(START, { to: numberAt(index) }), 202)
      const send = { application: 'default' as Application, verification: id as VerificationId, send: 1 }
      await api.store.deliveries.claim(send, 'token')
      await api.send('DELETE', `${START}/${id}`)
    }
    await expectProblem(await api.post(START, { to: numberAt(500) }), 429, 'suspected_fraud')
    await jsonOf(await api.post(START, { to: elsewhere() }), 202)
  })
})
