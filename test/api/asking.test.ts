/** What a form post may cost in questions to a CAPTCHA's vendor: few at once, few of one address, and no more. */
import { expect, it, onTestFinished, vi } from 'vitest'
import { createCaptcha } from '#captcha/captcha.ts'
import { strangerAt } from '#test/attacks/stranger.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { says, siteverify } from '#test/fixtures/siteverify.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { type Api, apiOn } from './api.ts'

const connection = useRedis()
const FAILED = { success: false, 'error-codes': ['invalid-input-response'] }

/** A vendor that answers when it is let, or at once, and our form before it. */
async function asking({ held, now = Date.now }: { held: boolean; now?: () => number }) {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  if (!held) release()
  const vendor = await siteverify((response) => void released.then(() => says(FAILED)(response)))
  onTestFinished(() => release())
  const captcha = createCaptcha({
    vendor: 'turnstile',
    siteKey: 'site',
    secret: 'secret',
    verifyUrl: vendor.url,
  })
  const api = apiOn(connection.redis, { captcha, now, config: { formChallenge: 'always' } })
  return { api, asked: vendor.asked, release }
}

let tokens = 0
function post(api: Api, address: string) {
  tokens += 1
  return strangerAt(api, address).ask(freshDestination(), { 'cf-turnstile-response': `t${tokens}` })
}

const statusesOf = async (posts: Promise<Response>[]) =>
  (await Promise.all(posts)).map(({ status }) => status).toSorted()

it('of ten posts at once from one address four are asked, the others are told to try again, and nothing is sent', async () => {
  const { api, asked, release } = await asking({ held: true })
  const posts = Array.from({ length: 10 }, () => post(api, '203.0.113.7'))
  await vi.waitFor(() => expect(asked).toHaveLength(4), { timeout: 2_000, interval: 5 })
  const other = post(api, '203.0.113.8')
  await vi.waitFor(() => expect(asked).toHaveLength(5), { timeout: 2_000, interval: 5 })
  release()
  const waits = (await Promise.all(posts)).map(({ status, headers }) => [status, headers.get('Retry-After')])
  expect(waits.toSorted()).toEqual([...Array(4).fill([429, null]), ...Array(6).fill([503, '1'])])
  expect((await other).status).toBe(429)
  expect(asked).toHaveLength(5)
  expect(api.lines.filter(({ reason }) => reason === 'captcha_busy')).toHaveLength(6)
  expect(api.enqueued).toEqual([])
})

it('of a hundred addresses sixty-four are asked at once', async () => {
  const { api, asked, release } = await asking({ held: true })
  const posts = Array.from({ length: 100 }, (_, index) => post(api, `198.51.100.${index}`))
  await vi.waitFor(() => expect(asked).toHaveLength(64), { timeout: 2_000, interval: 5 })
  release()
  expect(await statusesOf(posts)).toEqual([...Array(64).fill(429), ...Array(36).fill(503)])
  expect(asked).toHaveLength(64)
})

it('an address, and a /64, is asked for thirty times in any minute', async () => {
  let nowMs = 0
  const { api, asked } = await asking({ held: false, now: () => nowMs })
  for (let index = 0; index < 29; index++) await post(api, '2001:db8::1')
  nowMs = 40_000
  expect((await post(api, '2001:db8::2')).status).toBe(429)
  expect((await post(api, '2001:db8::3')).status).toBe(503)
  expect(asked).toHaveLength(30)
  nowMs = 59_999
  expect((await post(api, '2001:db8::4')).status).toBe(503)
  nowMs = 60_000
  expect((await post(api, '2001:db8::5')).status).toBe(429)
  expect(asked).toHaveLength(31)
})
