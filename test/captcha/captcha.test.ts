/** What a CAPTCHA's vendor may answer, over real HTTP: only a plain yes passes, and all trouble is *unavailable*. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type CaptchaSettings, createCaptcha } from '#captcha/captcha.ts'
import { VENDORS } from '#captcha/vendors.ts'
import { says, siteverify } from '#test/fixtures/siteverify.ts'

const SETTINGS: CaptchaSettings = {
  vendor: 'turnstile',
  siteKey: 'site-key',
  secret: 'the-secret-of-the-tests',
}

async function asking(answer: Parameters<typeof siteverify>[0], more: Partial<CaptchaSettings> = {}) {
  const vendor = await siteverify(answer)
  const captcha = createCaptcha({ ...SETTINGS, verifyUrl: vendor.url, ...more })
  return { ...vendor, captcha, verify: () => captcha.verify('token', {}) }
}

describe('a token', () => {
  it('is asked about once, as a form, with the secret and the person’s address', async () => {
    const { captcha, asked } = await asking(says({ success: true }))
    expect(await captcha.verify('the token', { ip: '203.0.113.9' })).toEqual({ kind: 'passed' })
    expect(asked).toEqual([
      {
        method: 'POST',
        path: '/siteverify',
        type: 'application/x-www-form-urlencoded;charset=UTF-8',
        fields: { secret: SETTINGS.secret, response: 'the token', remoteip: '203.0.113.9' },
      },
    ])
  })

  it('of hCaptcha is asked about with the site key, so that another site’s does not count', async () => {
    const { captcha, asked } = await asking(says({ success: true }), { vendor: 'hcaptcha' })
    await captcha.verify('token', { ip: '' })
    expect(asked[0]?.fields).toEqual({ secret: SETTINGS.secret, response: 'token', sitekey: 'site-key' })
  })

  it.each([
    [{ success: true }, { kind: 'passed' }],
    [{ success: true, hostname: 'elsewhere.example', 'error-codes': [] }, { kind: 'passed' }],
    [
      { success: false, 'error-codes': ['timeout-or-duplicate'] },
      { kind: 'failed', reason: 'refused' },
    ],
    [
      { success: false, 'error-codes': ['invalid-input-response'] },
      { kind: 'failed', reason: 'refused' },
    ],
    [
      { success: false, 'error-codes': [] },
      { kind: 'failed', reason: 'refused' },
    ],
    [{ success: false }, { kind: 'failed', reason: 'refused' }],
  ])('the vendor says %j about: %j', async (answer, verdict) => {
    const { verify } = await asking(says(answer))
    expect(await verify()).toEqual(verdict)
  })

  it.each(['expired-input-response', 'already-seen-response', 'invalid-or-already-seen-response'])(
    'that hCaptcha calls %s is refused',
    async (code) => {
      const { verify } = await asking(says({ success: false, 'error-codes': [code] }), { vendor: 'hcaptcha' })
      expect(await verify()).toEqual({ kind: 'failed', reason: 'refused' })
    },
  )
})

describe('the host name it was won on', () => {
  it.each([
    ['verify.example.com', { kind: 'passed' }],
    ['evil.example.com', { kind: 'failed', reason: 'other_host' }],
    ['VERIFY.example.com.evil', { kind: 'failed', reason: 'other_host' }],
    [undefined, { kind: 'failed', reason: 'other_host' }],
    [['verify.example.com'], { kind: 'failed', reason: 'other_host' }],
  ])('is %j: %j', async (hostname, verdict) => {
    const { verify } = await asking(says({ success: true, hostname }), { hostname: 'verify.example.com' })
    expect(await verify()).toEqual(verdict)
  })
})

describe('what the vendor says instead of yes or no is no yes:', () => {
  const raw =
    (status: number, body: string, headers = {}) =>
    (response: ServerResponse): void => {
      response.writeHead(status, headers).end(body)
    }
  const yes = JSON.stringify({ success: true })

  it.each<[string, (response: ServerResponse) => void, string]>([
    ['500', raw(500, ''), 'bad_answer'],
    ['500 with a yes in it', raw(500, yes), 'bad_answer'],
    ['201 with a yes in it', raw(201, yes), 'bad_answer'],
    ['a redirect', raw(302, '', { Location: '/yes' }), 'bad_answer'],
    ['a redirect that keeps the method', raw(307, '', { Location: '/yes' }), 'bad_answer'],
    ['nothing', raw(200, ''), 'bad_answer'],
    ['a page', raw(200, '<!doctype html>success: true'), 'bad_answer'],
    ['JSON cut short', raw(200, yes.slice(0, -1)), 'bad_answer'],
    ['null', raw(200, 'null'), 'bad_answer'],
    ['true alone', raw(200, 'true'), 'bad_answer'],
    ['a list', raw(200, `[${yes}]`), 'bad_answer'],
    ['yes as text', says({ success: 'true' }), 'bad_answer'],
    ['yes as a number', says({ success: 1 }), 'bad_answer'],
    ['no word of success', says({}), 'bad_answer'],
    ['a wrong secret', says({ success: false, 'error-codes': ['invalid-input-secret'] }), 'misconfigured'],
    [
      'a wrong secret and a bad token',
      says({ success: false, 'error-codes': ['invalid-input-response', 'invalid-input-secret'] }),
      'misconfigured',
    ],
    ['its own fault', says({ success: false, 'error-codes': ['internal-error'] }), 'misconfigured'],
    ['a code that is none', says({ success: false, 'error-codes': [7] }), 'misconfigured'],
    ['more than anybody needs', raw(200, yes + ' '.repeat(17 * 1024)), 'too_large'],
  ])('%s', async (_, answer, reason) => {
    const { verify, asked } = await asking(answer)
    expect(await verify()).toEqual({ kind: 'unavailable', reason })
    expect(asked).toHaveLength(1)
  })

  it('an answer that never ends is given up, and its connection with it', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const { verify } = await asking((response) => {
      closed = once(response, 'close')
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(1_024)));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    expect(await verify()).toEqual({ kind: 'unavailable', reason: 'too_large' })
    await closed
  })

  it.each([
    ['cuts the connection', (response: ServerResponse) => void response.destroy()],
    [
      'cuts it in the middle',
      (response: ServerResponse) => {
        response.writeHead(200, { 'Content-Length': '100' })
        response.write('{', () => response.destroy())
      },
    ],
  ])('a vendor that %s is unreachable', async (_, answer) => {
    const { verify } = await asking(answer)
    expect(await verify()).toEqual({ kind: 'unavailable', reason: 'unreachable' })
  })

  it('a vendor that is not there is unreachable', async () => {
    const { verify, server } = await asking(says({ success: true }))
    server.close()
    server.closeAllConnections()
    expect(await verify()).toEqual({ kind: 'unavailable', reason: 'unreachable' })
  })

  describe('a vendor that hangs is given two seconds', () => {
    const withClock = () => {
      const deadline = new AbortController()
      const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(deadline.signal)
      onTestFinished(() => timeout.mockRestore())
      return { timeout, end: () => deadline.abort(new DOMException('late', 'TimeoutError')) }
    }

    it.each([
      ['before its answer', () => {}],
      ['in the middle of it', (response: ServerResponse) => void response.writeHead(200).write('{')],
    ])('%s', async (_, answer) => {
      const { timeout, end } = withClock()
      const { verify } = await asking((response) => {
        answer(response)
        end()
      })
      expect(await verify()).toEqual({ kind: 'unavailable', reason: 'timeout' })
      expect(timeout).toHaveBeenCalledWith(2_000)
    })
  })

  it('a caller who has gone is not waited for, and not laid to the vendor', async () => {
    const gone = new AbortController()
    const { captcha } = await asking(() => gone.abort())
    expect(await captcha.verify('token', { signal: gone.signal })).toEqual({
      kind: 'unavailable',
      reason: 'asker_gone',
    })
  })
})

describe('a vendor', () => {
  it.each(Object.entries(VENDORS))(
    '%s answers by TLS and its widget comes from where the policy lets it',
    (_, facts) => {
      expect(facts.verifyUrl).toMatch(/^https:\/\//)
      const { hostname } = new URL(facts.script)
      const allowed = facts.sources['script-src']?.split(' ') ?? []
      const lets = allowed.some((source) => {
        const host = source.replace('https://', '')
        return host.startsWith('*.') ? hostname.endsWith(host.slice(1)) : hostname === host
      })
      expect(lets).toBe(true)
      for (const source of Object.values(facts.sources).join(' ').split(' '))
        expect(source).toMatch(/^https:\/\/(\*\.)?[a-z.]+$/)
    },
  )
})
