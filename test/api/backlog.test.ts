/** What callers and people are told when more codes wait than can leave in time. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { apiOn, expectProblem } from './api.ts'

const connection = useRedis()
const HTML = { Accept: 'text/html' }
const REQUEST = '/request-auth'

/** A number that sends one segment a second, and as many codes waiting as it can send in their time. */
async function crowded(resendWaitsMs: readonly number[] = [0, 0, 0]) {
  const api = apiOn(connection.redis, {
    policy: { codeTtlMs: 61_000, sendReserveMs: 60_000, resendWaitsMs },
    senders: [{ number: '+12025550199', kind: '10dlc', perSecond: 0.5 }],
    config: { pythonRoutes: true },
  })
  const { id } = await api.start()
  return { ...api, id, number: freshDestination() }
}

describe('with more waiting than can leave in time', () => {
  it('a start is 503 with the time to wait, and nothing is queued', async () => {
    const { post, enqueued, number, lines } = await crowded()
    const response = await post('/v1/verifications', { to: number })
    expect(response.headers.get('Retry-After')).toBe('5')
    expect(await expectProblem(response, 503, 'delivery_backlog')).toMatchObject({ retry_after: 5 })
    expect(enqueued).toHaveLength(1)
    expect(lines.at(-1)).toMatchObject({ level: 'warn', status: 503, refusal: 'delivery_backlog' })
  })

  it('so is a resend', async () => {
    const { post, id } = await crowded()
    const response = await post(`/v1/verifications/${id}/sends`, {})
    await expectProblem(response, 503, 'delivery_backlog')
  })

  it('a check goes on as ever', async () => {
    const { post, id, codeOf } = await crowded()
    const response = await post(`/v1/verifications/${id}/checks`, { code: await codeOf(id) })
    expect(await response.json()).toMatchObject({ result: 'approved' })
  })

  it('the guide’s clients are told that the code could not be sent', async () => {
    const { postForm, get, number } = await crowded()
    const response = await postForm(REQUEST, { number })
    expect(`${response.status} ${await response.text()}`).toBe('500 Error sending code via SMS')
    expect(response.headers.get('Retry-After')).toBe('5')
    const python = await get(`${REQUEST}?number=${number.slice(1)}`)
    expect(`${python.status} ${await python.text()}`).toBe('500 500')
  })

  it('a person reads why, and when to try again', async () => {
    const { postForm, number } = await crowded()
    const response = await postForm(REQUEST, { number }, HTML)
    expect(response.status).toBe(503)
    expect(response.headers.get('Retry-After')).toBe('5')
    expect(await response.text()).toContain(
      'Too many people are asking for codes right now. Try again in 5 seconds.',
    )
  })

  it('the form says so too for a number that would be sent nothing', async () => {
    const crowd = await crowded()
    const destination = freshDestination()
    await crowd.store.suppressions.heed({
      keyword: 'stop',
      destination,
      sender: '+12025550199',
      agoMs: 0,
      token: 's',
    })
    const response = await crowd.postForm(REQUEST, { number: destination })
    expect(await response.text()).toBe('Error sending code via SMS')
  })
})
