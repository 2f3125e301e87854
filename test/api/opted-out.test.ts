/** What callers get for a number that answered STOP: a plain no without a wait, and everything else as before. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { apiOn, expectProblem, jsonOf } from './api.ts'
import { complaintsAbout } from './document.ts'

const connection = useRedis()
const START = '/v1/verifications'

async function optedOut() {
  const api = apiOn(connection.redis)
  const started = await api.start()
  const say = (keyword: 'stop' | 'start') =>
    api.store.suppressions.heed({
      keyword,
      destination: started.to,
      sender: '+12025550199',
      agoMs: 0,
      token: keyword,
    })
  await say('stop')
  return { ...api, ...started, say }
}

describe('for a number that answered STOP', () => {
  it.each(['a start', 'a resend'])('%s is 403 recipient_opted_out, and no wait would help', async (what) => {
    const api = await optedOut()
    const [path, template] =
      what === 'a start' ? [START, START] : [`${START}/${api.id}/sends`, `${START}/{id}/sends`]
    const response = await (what === 'a start' ? api.post(path, { to: api.to }) : api.send('POST', path))
    const body = await response.clone().text()
    expect(await expectProblem(response, 403, 'recipient_opted_out')).not.toHaveProperty('retry_after')
    expect(response.headers.get('Retry-After')).toBeNull()
    expect(api.enqueued).toHaveLength(1)
    const { status, headers } = response
    const type = headers.get('Content-Type') ?? ''
    expect(complaintsAbout({ path: template, method: 'post', status, type, body, headers })).toEqual([])
  })

  it('a check of the code it was sent is judged as any', async () => {
    const api = await optedOut()
    expect(await jsonOf(await api.post(api.checks, { code: api.code }), 200)).toMatchObject({
      result: 'approved',
    })
  })

  it('a send that was still queued is shown as suppressed, and why', async () => {
    const api = await optedOut()
    const send = api.enqueued[0]
    if (send) await api.store.deliveries.claim(send, 'token')
    const body = await jsonOf(await api.get(`${START}/${api.id}`), 200)
    expect(body).toMatchObject({
      status: 'pending',
      delivery: { status: 'suppressed', reason: 'recipient_opted_out' },
    })
  })

  it('a start is taken again once it has sent START', async () => {
    const api = await optedOut()
    await api.send('DELETE', `${START}/${api.id}`)
    await api.say('start')
    expect(await jsonOf(await api.post(START, { to: api.to }), 202)).toMatchObject({ status: 'pending' })
  })
})
