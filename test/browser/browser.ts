/** A Chromium for the tests of the page, and a person at it: what a phone shows and what the browser complains of. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

export const CHROMIUM_PATH = process.env.CHROMIUM_PATH

/** Nothing but the page under test is fetched, and it runs in a container as root. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Two sites on this machine which are, unlike localhost, as any other site without TLS to the browser.
  '--host-resolver-rules=MAP verify.test 127.0.0.1, MAP evil.test 127.0.0.1',
]

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM_PATH ?? '', args: ARGS })
}

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }

/** A page on a phone, with everything the browser said against it. */
export async function openPhone(browser: Browser, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ ...PHONE, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    // A 4xx answer to a form is the page that explains it, not a broken page.
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`))
  return { page, complaints, close: () => context.close() }
}

export const requestForm = (page: Page) => page.getByRole('form', { name: 'Get a code' })
export const checkForm = (page: Page) => page.getByRole('form', { name: 'Check the code' })

export async function askFor(page: Page, number: string): Promise<void> {
  await requestForm(page).getByLabel('Phone number').fill(number)
  await submit(page, 'Text me a code')
}

export async function check(page: Page, code: string): Promise<void> {
  await checkForm(page).getByLabel('Code', { exact: true }).fill(code)
  await submit(page, 'Check')
}

/** Waits for the next page with its style: what is looked at before has no look yet. */
async function submit(page: Page, name: string): Promise<void> {
  const loaded = page.waitForEvent('load')
  await page.getByRole('button', { name }).click()
  await loaded
}
