/** Challenges on the page, in a real browser on a phone: solved by itself without freezing, and told without a script. */
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createCaptcha } from '#captcha/captcha.ts'
import { apiOn, demanding, FORM_APPLICATION } from '#test/api/api.ts'
import { listen } from '#test/api/port.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { says, siteverify } from '#test/fixtures/siteverify.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { askFor, CHROMIUM_PATH, check, launchBrowser, openPhone, requestForm } from './browser.ts'

const connection = useRedis()
const AUDIT = readFileSync(new URL('./audit.js', import.meta.url), 'utf8')

type Options = {
  javaScriptEnabled?: boolean
  colorScheme?: 'light' | 'dark'
  api?: Parameters<typeof apiOn>[1]
  mode?: 'demand' | 'always'
  prepare?: (page: Page) => Promise<void>
}

/** Does what a vendor's script does: finds its place, shows a frame of its own and fills in a field of the form. */
const WIDGET = `
  const place = document.querySelector('.cf-turnstile')
  place.append(Object.assign(document.createElement('iframe'), { src: 'https://challenges.cloudflare.com/frame' }))
  const value = 'token for ' + place.dataset.sitekey
  place.append(Object.assign(document.createElement('input'), { type: 'hidden', name: 'cf-turnstile-response', value }))
`

async function fakeVendor(page: Page): Promise<void> {
  await page.route('https://challenges.cloudflare.com/turnstile/v0/api.js', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: WIDGET }),
  )
  await page.route('https://challenges.cloudflare.com/frame', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<p>a question</p>' }),
  )
}

describe.skipIf(!CHROMIUM_PATH)('a challenge in a browser (skipped without CHROMIUM_PATH)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

  async function visit({ api: options, mode = 'always', prepare, ...context }: Options = {}) {
    const api = apiOn(connection.redis, { ...options, config: { formChallenge: mode } })
    const { origin } = await listen(api.app)
    const { page, complaints, close } = await openPhone(browser, context)
    onTestFinished(close)
    await prepare?.(page)
    await page.goto(origin)
    const codeSent = () => api.codeOf(api.enqueued.at(-1)?.verification ?? '', FORM_APPLICATION)
    return { api, page, complaints, codeSent, number: freshDestination() }
  }

  const status = (page: Page) => page.getByRole('status')
  const bar = (page: Page) => page.getByRole('progressbar')
  const progress = async (page: Page) => Number(await bar(page).getAttribute('value'))
  const button = (page: Page) => page.getByRole('button', { name: 'Text me a code' })
  const sent = (page: Page) =>
    expect.poll(() => status(page).first().textContent()).toContain('Your code was sent')

  /** More work than there is: the page stays as it is while the browser works. */
  const endless = { bits: 24 }

  it.each(['always', 'demand'] as const)(
    'FORM_CHALLENGE=%s: a person types a number, waits and is done',
    async (mode) => {
      const before = mode === 'demand' ? { before: demanding } : {}
      const { page, complaints, codeSent, number, api } = await visit({ mode, api: before })
      await askFor(page, number)
      await sent(page)
      await check(page, await codeSent())
      expect(await status(page).textContent()).toContain('Success!')
      expect(api.enqueued).toHaveLength(1)
      expect(complaints).toEqual([])
    },
  )

  it('works without freezing the page, and shows how far it is', async () => {
    const { page, number } = await visit({ api: endless })
    await askFor(page, number)
    expect(await status(page).textContent()).toContain('your browser does a little work first')
    await expect.poll(() => progress(page)).toBeGreaterThan(0)
    expect(await button(page).isDisabled()).toBe(true)
    // The page answers at once while its worker is busy.
    await page.getByLabel('Code', { exact: true }).fill('123456')
    expect(await page.getByLabel('Code', { exact: true }).inputValue()).toBe('123456')
  })

  it('opens no keyboard over what it says', async () => {
    const { page, number } = await visit({ api: endless })
    await askFor(page, number)
    expect(await page.locator('input:focus').count()).toBe(0)
  })

  it('after one that failed waits for the person, who presses the button', async () => {
    let now = Date.now()
    const { page, number, api, complaints } = await visit({ api: { now: () => now } })
    // The first challenge is given out in the past, so that it is over when it comes back.
    now -= 120_000
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await requestForm(page).getByLabel('Phone number').fill(number)
    await button(page).click()
    await answered
    now += 120_000
    await expect.poll(() => page.getByRole('alert').textContent()).toMatch(/^That took too long/)
    expect(await bar(page).isVisible()).toBe(false)
    expect(api.enqueued).toEqual([])
    await button(page).click()
    await sent(page)
    expect(complaints).toEqual([])
  })

  it('for a number that was changed meanwhile, gets one for the new number by itself', async () => {
    let now = Date.now()
    const { page, number, api } = await visit({ api: { now: () => now } })
    now -= 120_000
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await requestForm(page).getByLabel('Phone number').fill(number)
    await button(page).click()
    await answered
    now += 120_000
    await expect.poll(() => page.getByRole('alert').count()).toBe(1)
    const other = freshDestination()
    await requestForm(page).getByLabel('Phone number').fill(other)
    await button(page).click()
    await sent(page)
    expect(await page.locator('#check-number').inputValue()).toBe(other)
    expect(api.enqueued).toHaveLength(1)
  })

  it('that cannot be solved in this browser says so, and gives the button back', async () => {
    const { page, number } = await visit()
    // The page's script is served; what it starts as a worker is not.
    let served = 0
    await page.route('**/challenge.js', (route) => {
      served += 1
      return served === 1 ? route.continue() : route.abort()
    })
    await askFor(page, number)
    await expect
      .poll(() => status(page).textContent())
      .toBe('That did not work in this browser. Try another one.')
    expect(await button(page).isDisabled()).toBe(false)
  })

  it('without a script says in one sentence what is needed, and sends nothing', async () => {
    const { page, number, api, complaints } = await visit({ javaScriptEnabled: false })
    await askFor(page, number)
    await askFor(page, number)
    expect(await requestForm(page).locator('noscript p').textContent()).toBe(
      'To get a code now, turn on JavaScript and press the button again: your browser has a little work to do first.',
    )
    expect(await bar(page).isVisible()).toBe(false)
    expect(api.enqueued).toEqual([])
    expect(complaints).toEqual([])
  })

  it('runs no script but ours, also where one is allowed', async () => {
    const { page, number, complaints } = await visit({ api: endless })
    await askFor(page, number)
    await page.evaluate(
      `document.body.append(Object.assign(document.createElement('script'), { textContent: 'title=1' }))`,
    )
    await expect.poll(() => complaints.join()).toMatch(/Content Security Policy/)
    expect(await page.title()).toBe('Verify your phone')
  })

  it('of a CAPTCHA’s vendor runs its script and its frame, and the form brings its token', async () => {
    const { url, asked } = await siteverify(says({ success: true }))
    const captcha = createCaptcha({
      vendor: 'turnstile',
      siteKey: 'the-site-key',
      secret: 'x'.repeat(20),
      verifyUrl: url,
    })
    const { page, number, complaints, api } = await visit({ api: { captcha }, prepare: fakeVendor })
    await page.frameLocator('.cf-turnstile iframe').getByText('a question').waitFor()
    await askFor(page, number)
    await sent(page)
    expect(asked.map(({ fields }) => fields)).toEqual([
      { secret: 'x'.repeat(20), response: 'token for the-site-key', remoteip: '127.0.0.1' },
    ])
    expect(api.enqueued).toHaveLength(1)
    expect(complaints).toEqual([])
  })

  const screens: [string, Options, (visited: Awaited<ReturnType<typeof visit>>) => Promise<void>][] = [
    [
      'challenge working',
      { api: endless },
      async ({ page, number }) => {
        await askFor(page, number)
        await expect.poll(() => progress(page)).toBeGreaterThan(0)
      },
    ],
    [
      'challenge failed',
      {},
      async ({ page, number }) => {
        await page.evaluate(`document.querySelector('form').insertAdjacentHTML('beforeend',
          '<input type="hidden" name="challenge_token" value="x"><input type="hidden" name="challenge_solution" value="x">')`)
        await askFor(page, number)
      },
    ],
    [
      'challenge widget',
      {
        api: { captcha: createCaptcha({ vendor: 'turnstile', siteKey: 'the-site-key', secret: '' }) },
        prepare: fakeVendor,
      },
      async () => {},
    ],
    ['challenge without a script', { javaScriptEnabled: false }, ({ page, number }) => askFor(page, number)],
  ]

  describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
    it.each(screens)('the screen "%s" fits a phone and is read by everyone', async (name, options, go) => {
      const visited = await visit({ ...options, colorScheme })
      const { page, complaints } = visited
      await go(visited)
      if (options.javaScriptEnabled !== false) expect(await page.evaluate(AUDIT)).toEqual([])
      expect(complaints).toEqual([])
      const folder = process.env.SCREENSHOTS
      if (folder)
        await page.screenshot({
          path: `${folder}/${name.replaceAll(' ', '-')}-${colorScheme}.png`,
          fullPage: true,
        })
    })
  })
})
