/** The sandbox's inbox in a real browser on a phone: a person reads a message and answers it, with and without JavaScript. */
import { readFileSync } from 'node:fs'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { FROM, openSocket, order, phone, startSandbox } from '#test/sandbox/clients.ts'
import { CHROMIUM_PATH, launchBrowser, openPhone } from './browser.ts'

const AUDIT = readFileSync(new URL('audit.js', import.meta.url), 'utf8')

describe.skipIf(!CHROMIUM_PATH)('the inbox in a browser (skipped without CHROMIUM_PATH)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

  async function visit(options: { javaScriptEnabled?: boolean; colorScheme?: 'light' | 'dark' } = {}) {
    const { sandbox, port, url } = await startSandbox()
    const client = await openSocket(port)
    await client.authenticate(['otp'])
    await client.ask('messaging.send', order('0100'))
    const { page, complaints, close } = await openPhone(browser, options)
    onTestFinished(close)
    await page.goto(`${url}/?to=${encodeURIComponent(phone('0100'))}`)
    return { sandbox, client, page, complaints, url }
  }

  describe.each([
    ['with JavaScript', true],
    ['without JavaScript', false],
  ])('%s', (_, javaScriptEnabled) => {
    it('a person answers a message, and sees the answer beside it', async () => {
      const { client, page, complaints } = await visit({ javaScriptEnabled })
      const field = page.getByLabel('Answer from this phone')
      await field.fill('STOP')
      await page.getByRole('button', { name: 'Send' }).click()
      const answer = page.locator('[data-direction="inbound"]')
      await answer.waitFor()
      expect(await answer.locator('.body').textContent()).toBe('STOP')
      expect((await answer.locator('.other').textContent())?.replace(/\s+/g, ' ')).toBe('to +1 202 555 0199')
      await expect.poll(() => field.inputValue()).toBe('')
      await expect
        .poll(() => client.events().filter(({ direction }) => direction === 'inbound'))
        .toMatchObject([{ from_number: phone('0100'), to_number: FROM, body: 'STOP' }])
      expect(complaints).toEqual([])
    })
  })

  it('the message of any phone leads to where it is answered', async () => {
    const { page, url } = await visit()
    await page.goto(url)
    await page.getByRole('link', { name: 'Answer' }).click()
    await page.getByLabel('Answer from this phone').waitFor()
    expect(page.url()).toBe(`${url}/?to=${encodeURIComponent(phone('0100'))}#answer`)
  })

  it('a phone that got nothing has nobody to answer', async () => {
    const { sandbox, page } = await visit()
    sandbox.clear()
    await page.reload()
    expect(await page.getByLabel('Answer from this phone').isVisible()).toBe(false)
  })

  it.each(['light', 'dark'] as const)(
    'in %s it fits a phone and is read by everyone',
    async (colorScheme) => {
      const { page, complaints } = await visit({ colorScheme })
      await page.getByLabel('Answer from this phone').fill('STOP')
      await page.getByRole('button', { name: 'Send' }).click()
      await page.locator('[data-direction="inbound"]').waitFor()
      const wrong = (await page.evaluate(AUDIT)) as string[]
      expect(wrong.filter((text) => !text.endsWith('small for a thumb'))).toEqual([])
      expect(complaints).toEqual([])
      const folder = process.env.SCREENSHOTS
      if (folder) await page.screenshot({ path: `${folder}/inbox-${colorScheme}.png`, fullPage: true })
    },
  )
})
