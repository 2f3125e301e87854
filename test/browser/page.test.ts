/** The page as a person sees it, in a real browser on a phone, on the real store: with and without JavaScript. */
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { NOT_APPROVED } from '#api/sentences.ts'
import { apiOn, FORM_APPLICATION } from '#test/api/api.ts'
import { listen } from '#test/api/port.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, wrongFor } from '#test/fixtures/store.ts'
import { askFor, CHROMIUM_PATH, check, checkForm, launchBrowser, openPhone, requestForm } from './browser.ts'

const connection = useRedis()
const AUDIT = readFileSync(new URL('./audit.js', import.meta.url), 'utf8')

describe.skipIf(!CHROMIUM_PATH)('the page in a browser (skipped without CHROMIUM_PATH)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

  async function visit(options: { javaScriptEnabled?: boolean; colorScheme?: 'light' | 'dark' } = {}) {
    const api = apiOn(connection.redis)
    const { origin } = await listen(api.app)
    const { page, complaints, close } = await openPhone(browser, options)
    onTestFinished(close)
    await page.goto(origin)
    const codeSent = () => api.codeOf(api.enqueued.at(-1)?.verification ?? '', FORM_APPLICATION)
    return { api, page, complaints, codeSent, number: freshDestination() }
  }

  const screens: [string, (visited: Awaited<ReturnType<typeof visit>>) => Promise<void>][] = [
    ['empty', async () => {}],
    ['sent', ({ page, number }) => askFor(page, number)],
    ['number refused', ({ page }) => askFor(page, '+1 900 234 5678')],
    [
      'wrong code',
      async ({ page, number, codeSent }) => {
        await askFor(page, number)
        await check(page, wrongFor(await codeSent()))
      },
    ],
    [
      'success',
      async ({ page, number, codeSent }) => {
        await askFor(page, number)
        await check(page, await codeSent())
      },
    ],
  ]

  describe.each([
    ['with JavaScript', true],
    ['without JavaScript', false],
  ])('%s', (_, javaScriptEnabled) => {
    it('a person asks for a code, types it and is done', async () => {
      const { page, complaints, codeSent, number } = await visit({ javaScriptEnabled })
      await askFor(page, number)
      expect(await page.getByRole('status').textContent()).toContain('Your code was sent')
      expect(await checkForm(page).getByLabel('Phone number').inputValue()).toBe(number)
      await check(page, await codeSent())
      expect(await page.getByRole('status').textContent()).toContain('Success!')
      expect(complaints).toEqual([])
    })

    it('a wrong code is said beside the code, and the right one still works', async () => {
      const { page, codeSent, number } = await visit({ javaScriptEnabled })
      await askFor(page, number)
      const code = await codeSent()
      await check(page, wrongFor(code))
      const field = checkForm(page).getByLabel('Code', { exact: true })
      expect(await page.getByRole('alert').textContent()).toBe(NOT_APPROVED)
      expect(await describedBy(page, 'code')).toBe(NOT_APPROVED)
      expect(await field.inputValue()).toBe('')
      await check(page, code)
      expect(await page.getByRole('status').textContent()).toContain('Success!')
    })

    it('a number that gets no code is said beside the number, which stays', async () => {
      const { page, api } = await visit({ javaScriptEnabled })
      await askFor(page, '+1 900 234 5678')
      expect(await page.getByRole('alert').textContent()).toBe('Codes are not sent to premium-rate numbers.')
      expect(await requestForm(page).getByLabel('Phone number').inputValue()).toBe('+1 900 234 5678')
      expect(api.enqueued).toEqual([])
    })
  })

  const describedBy = async (page: Page, id: string) => {
    const described = await page.locator(`#${id}`).getAttribute('aria-describedby')
    return page.locator(`#${described}`).textContent()
  }

  it('an empty form is held back by the browser, and nothing is sent', async () => {
    const { page, api } = await visit()
    await page.getByRole('button', { name: 'Text me a code' }).click()
    expect(await page.locator('#number:invalid').count()).toBe(1)
    expect(api.lines.filter(({ method }) => method === 'POST')).toEqual([])
  })

  it('after a request the cursor waits in the code', async () => {
    const { page, number } = await visit()
    await askFor(page, number)
    expect(await page.locator(':focus').getAttribute('id')).toBe('code')
  })

  it('everything is reached by the keyboard, in order', async () => {
    const { page } = await visit()
    const reached: string[] = []
    for (let step = 0; step < 5; step++) {
      reached.push(
        (await page.locator(':focus').getAttribute('id')) ??
          (await page.locator(':focus').textContent()) ??
          '',
      )
      await page.keyboard.press('Tab')
    }
    expect(reached).toEqual(['number', 'Text me a code', 'check-number', 'code', 'Check'])
  })

  it('a script in the number is shown and never run', async () => {
    const { page, complaints } = await visit()
    const typed = '"><script>title=1</script>'
    await askFor(page, typed)
    expect(await page.locator('script').count()).toBe(0)
    expect(await requestForm(page).getByLabel('Phone number').inputValue()).toBe(typed)
    expect(complaints).toEqual([])
  })

  it('the policy really stops what the page does not bring itself', async () => {
    const { page, complaints } = await visit()
    await page.evaluate(`document.body.append(Object.assign(new Image(), { src: '/elsewhere.png' }))`)
    await expect.poll(() => complaints.join()).toMatch(/Content Security Policy/)
  })

  describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
    it.each(screens)(
      'the screen "%s" fits a phone, is read by everyone and breaks no policy',
      async (name, go) => {
        const visited = await visit({ colorScheme })
        const { page, complaints } = visited
        await go(visited)
        expect(await page.evaluate(AUDIT)).toEqual([])
        expect(complaints).toEqual([])
        const folder = process.env.SCREENSHOTS
        if (folder)
          await page.screenshot({
            path: `${folder}/${name.replace(' ', '-')}-${colorScheme}.png`,
            fullPage: true,
          })
      },
    )
  })
})
