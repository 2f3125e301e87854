/** Our page and another site in a real browser: what browsers really send and refuse, with and without what TLS adds. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { apiOn } from '#test/api/api.ts'
import { listen } from '#test/api/port.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { askFor, CHROMIUM_PATH, launchBrowser, openPhone } from './browser.ts'

const connection = useRedis()

/** Another site, of one page. */
async function otherSite(page: string): Promise<string> {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { 'Content-Type': 'text/html' }).end(page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://evil.test:${(server.address() as AddressInfo).port}`
}

describe.skipIf(!CHROMIUM_PATH)('in a browser (skipped without CHROMIUM_PATH)', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

  /** A loopback address counts as safe to a browser, and gets Sec-Fetch-Site; a name without TLS gets Origin only. */
  describe.each([
    ['which says where a request comes from', '127.0.0.1'],
    ['which names the origin only', 'verify.test'],
  ])('%s,', (_, host) => {
    async function visit() {
      const api = apiOn(connection.redis)
      const { port } = await listen(api.app)
      const { page, close } = await openPhone(browser)
      onTestFinished(close)
      return { api, page, ours: `http://${host}:${port}` }
    }

    it('our own form is taken', async () => {
      const { api, page, ours } = await visit()
      await page.goto(ours)
      await askFor(page, freshDestination())
      expect(await page.getByRole('status').textContent()).toContain('Your code was sent')
      expect(api.enqueued).toHaveLength(1)
    })

    it('a form of another site is refused, and nothing is sent', async () => {
      const { api, page, ours } = await visit()
      const form = `<form method="post" action="${ours}/request-auth"><input name="number" value="${freshDestination()}"><button>Win</button></form>`
      await page.goto(await otherSite(form))
      await page.getByRole('button', { name: 'Win' }).click()
      await page.waitForURL(`${ours}/**`)
      expect(await page.getByRole('alert').textContent()).toContain('This was sent by another site.')
      expect(api.enqueued).toEqual([])
      expect(api.lines.filter(({ refusal }) => refusal === 'cross_site')).toHaveLength(1)
    })

    it('a script of another site can call nothing that needs leave, and read no answer', async () => {
      const { api, page, ours } = await visit()
      await page.goto(await otherSite('<title>evil</title>'))
      const call = (path: string, type: string) =>
        page.evaluate(
          `fetch('${ours}${path}', { method: 'POST', body: '{"to":"${freshDestination()}"}', headers: { 'Content-Type': '${type}' } }).then(() => 'read', () => 'kept out')`,
        )
      expect(await call('/v1/verifications', 'application/json')).toBe('kept out')
      expect(await call('/v1/verifications', 'text/plain')).toBe('kept out')
      expect(await call('/request-auth', 'application/x-www-form-urlencoded')).toBe('kept out')
      expect(await page.evaluate(`fetch('${ours}/livez').then(() => 'read', () => 'kept out')`)).toBe(
        'kept out',
      )
      expect(api.enqueued).toEqual([])
    })

    it('another site cannot show our page in a frame', async () => {
      const { api, page, ours } = await visit()
      await page.goto(await otherSite(`<iframe src="${ours}/"></iframe>`))
      await expect.poll(() => api.lines.map(({ route }) => route)).toContain('/')
      const frame = page.frames().find((one) => one !== page.mainFrame())
      expect(await frame?.getByRole('button').count()).toBe(0)
    })
  })
})
