import { describe, expect, it } from 'vitest'
import { SCENARIOS } from '#sandbox/scenarios.ts'
import { FROM, phone, postJson, startSandbox } from './clients.ts'

async function withMessage(body: string) {
  const started = await startSandbox()
  await postJson(`${started.url}/api/messaging/messages`, { to: phone('0111'), from: FROM, body })
  return { ...started, page: await (await fetch(started.url)).text() }
}

describe('the inbox page', () => {
  it('shows what arrived without any script: number, text, code and state', async () => {
    const { page } = await withMessage('Your code is 482913')
    const list = page.slice(page.indexOf('<ol'), page.indexOf('</ol>'))
    for (const shown of ['+1 202 555 0111', 'Your code is 482913', '>482913<', '>queued<']) {
      expect(list).toContain(shown)
    }
  })

  it('never takes a message for markup', async () => {
    const { page } = await withMessage('<script>alert("1")</script>')
    expect(page).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;')
  })

  it('names every special destination', async () => {
    const { page } = await withMessage('x')
    for (const { ending, title, story } of SCENARIOS) {
      expect(page).toContain(`<code>${ending}</code>`)
      expect(page).toContain(title)
      expect(page).toContain(story)
    }
  })

  it('shows one phone when asked for it, whatever the number holds', async () => {
    const { url } = await withMessage('for 0111')
    const other = await (await fetch(`${url}/?to=${encodeURIComponent('"><b>')}`)).text()
    expect(other).not.toContain('for 0111')
    expect(other).toContain('&quot;&gt;&lt;b&gt;')
  })

  it('loads nothing from elsewhere, and says so in its policy', async () => {
    const { url } = await startSandbox()
    const page = await fetch(url)
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none';/)
    expect(page.headers.get('content-security-policy')).not.toContain('unsafe')
    const files = [...(await page.text()).matchAll(/(?:src|href)="([^"#?]+\.\w+)"/g)].map(([, file]) => file)
    expect(new Set(files)).toEqual(new Set(['/icon.svg', '/inbox.css', '/inbox.js']))
    for (const file of files) expect((await fetch(url + file)).status).toBe(200)
  })
})

describe('the forms of the page', () => {
  const post = (address: string, fields: Record<string, string>, headers: Record<string, string>) =>
    fetch(address, { method: 'POST', redirect: 'manual', headers, body: new URLSearchParams(fields) })

  it('set the latency and empty the inbox', async () => {
    const { sandbox, url } = await withMessage('x')
    expect((await post(`${url}/settings`, { latency_ms: '25' }, { origin: url })).status).toBe(303)
    expect(await (await fetch(`${url}/api/settings`)).json()).toEqual({ latency_ms: 25 })
    expect((await post(`${url}/clear`, {}, { origin: url })).status).toBe(303)
    expect(sandbox.messages()).toEqual([])
  })

  it('are deaf to other sites', async () => {
    const { sandbox, url } = await withMessage('x')
    const elsewhere = { origin: 'https://example.com', 'sec-fetch-site': 'cross-site' }
    expect((await post(`${url}/clear`, {}, elsewhere)).status).toBe(403)
    expect(sandbox.messages()).toHaveLength(1)
  })
})

describe('other addresses', () => {
  it.each(['/livez', '/readyz'])('%s says that all is well', async (path) => {
    const { url } = await startSandbox()
    expect((await fetch(url + path)).status).toBe(200)
  })

  it('are not found', async () => {
    const { url } = await startSandbox()
    expect((await fetch(`${url}/page/inbox.css`)).status).toBe(404)
  })

  it.each([
    { bytes: 64 * 1_024 - 1, status: 400 },
    { bytes: 64 * 1_024, status: 400 },
    { bytes: 64 * 1_024 + 1, status: 413 },
  ])('answer a body of $bytes bytes with $status', async ({ bytes, status }) => {
    const { url } = await startSandbox()
    const response = await postJson(`${url}/api/messaging/messages`, 'x'.repeat(bytes))
    expect(response.status).toBe(status)
  })
})
