/** What a send over REST comes to: every way an HTTP request can end, and what each says about the message. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createSignalWireRest, type SignalWireRestOptions } from '#providers/signalwire-rest.ts'
import type { HttpRequest } from '#test/fixtures/scripted-http.ts'
import { phone, startSandbox } from '#test/sandbox/clients.ts'
import { MESSAGE } from './relay-message.ts'
import { startScriptedRest } from './scripted-rest.ts'

const busy = (reason: string, more: object = {}) => ({ kind: 'busy', reason, ...more })
const unknown = (reason: string) => ({ kind: 'unknown', reason })
const NO_ABORT = new AbortController().signal
const accept = (request: HttpRequest) => request.json(201, { sid: 'm-1', status: 'queued' })

function restAt(baseUrl: string, options: Partial<SignalWireRestOptions> = {}) {
  const statuses: string[] = []
  const provider = createSignalWireRest({
    project: 'project',
    token: 'token',
    baseUrl,
    sendTimeoutMs: 300,
    onStatus: (status) => statuses.push(status),
    ...options,
  })
  onTestFinished(() => provider.close())
  const reaches = (status: string) => expect.poll(() => provider.status(), { timeout: 5_000 }).toBe(status)
  return { provider, statuses, reaches, send: (signal = NO_ABORT) => provider.send(MESSAGE, signal) }
}

async function scripted(
  onRequest: (request: HttpRequest) => void,
  options: Partial<SignalWireRestOptions> = {},
) {
  const server = await startScriptedRest(onRequest)
  return { server, ...restAt(server.url, options) }
}

test('a message is one form, with credentials, a validity period and a callback that names its send', async () => {
  const { server, send } = await scripted(accept, { callbackUrl: 'https://example.com/callbacks/signalwire' })
  expect(await send()).toEqual({ kind: 'accepted', messageId: 'm-1' })
  const [request] = server.requests
  expect(request).toMatchObject({
    method: 'POST',
    url: '/api/laml/2010-04-01/Accounts/project/Messages',
    headers: { authorization: `Basic ${Buffer.from('project:token').toString('base64')}` },
  })
  expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
    From: MESSAGE.from,
    To: MESSAGE.to,
    Body: MESSAGE.body,
    ValidityPeriod: '240',
    StatusCallback: `https://example.com/callbacks/signalwire?reference=${MESSAGE.reference}`,
  })
  expect(server.requests).toHaveLength(1)
})

test('without a callback URL none is asked for', async () => {
  const { server, send } = await scripted(accept)
  await send()
  expect(server.requests[0]?.body).not.toContain('StatusCallback')
})

describe('an answer', () => {
  const answers: [string, (request: HttpRequest) => void, object][] = [
    ['201 without an id', (r) => r.json(201, { status: 'queued' }), unknown('no_message_id')],
    ['201 with an empty id', (r) => r.json(201, { sid: '' }), unknown('no_message_id')],
    ['201 that is no JSON', (r) => r.response.writeHead(201).end('<html>'), unknown('no_message_id')],
    ['204', (r) => r.response.writeHead(204).end(), unknown('no_message_id')],
    [
      '400 with 21211',
      (r) => r.json(400, { code: 21211 }),
      { kind: 'rejected', reason: 'refused_by_provider' },
    ],
    [
      '400 with a code in a text',
      (r) => r.json(400, { code: '21610' }),
      { kind: 'rejected', reason: 'opted_out' },
    ],
    [
      '400 for a landline',
      (r) => r.json(400, { code: 21614 }),
      { kind: 'rejected', reason: 'not_reachable' },
    ],
    [
      '400 for our number',
      (r) => r.json(400, { code: 21606 }),
      { kind: 'rejected', reason: 'not_reachable' },
    ],
    [
      '400 for our sender',
      (r) => r.json(400, { code: 21212 }),
      { kind: 'rejected', reason: 'misconfigured' },
    ],
    [
      '400 without funds',
      (r) => r.json(400, { code: 30002 }),
      { kind: 'rejected', reason: 'account_blocked' },
    ],
    [
      '400 that says nothing',
      (r) => r.response.writeHead(400).end(),
      { kind: 'rejected', reason: 'refused_by_provider' },
    ],
    ['401', (r) => r.json(401, { code: 20003 }), busy('credentials_refused')],
    ['403 that says nothing', (r) => r.response.writeHead(403).end(), busy('credentials_refused')],
    ['404 of a space or project that is none', (r) => r.response.writeHead(404).end(), busy('misconfigured')],
    ['404 with 20404', (r) => r.json(404, { code: 20404 }), busy('misconfigured')],
    [
      '404 with 21211, which is about the number',
      (r) => r.json(404, { code: 21211 }),
      { kind: 'rejected', reason: 'refused_by_provider' },
    ],
    ['408', (r) => r.response.writeHead(408).end(), busy('provider_fault')],
    [
      '422 with a code nobody knows',
      (r) => r.json(422, { code: 'x' }),
      { kind: 'rejected', reason: 'refused_by_provider' },
    ],
    [
      '429 with a wait',
      (r) => r.json(429, {}, { 'retry-after': '7' }),
      busy('rate_limited', { retryAfterMs: 7_000 }),
    ],
    [
      '429 with a wait that is no number',
      (r) => r.json(429, {}, { 'retry-after': 'soon' }),
      busy('rate_limited'),
    ],
    ['500', (r) => r.response.writeHead(500).end(), unknown('provider_fault')],
    ['500 with 20001, a fault of theirs', (r) => r.json(500, { code: 20001 }), unknown('provider_fault')],
    [
      '500 with 20429, which says that it was refused',
      (r) => r.json(500, { code: 20429 }),
      busy('rate_limited'),
    ],
    [
      '500 of an unknown error',
      (r) => r.json(500, { errors: [{ code: 'unknown_error' }] }),
      unknown('provider_fault'),
    ],
    [
      '503 of an unknown error',
      (r) => r.json(503, { errors: [{ code: 'unknown_error' }] }),
      unknown('provider_fault'),
    ],
    ['502', (r) => r.response.writeHead(502).end('<html>'), unknown('provider_fault')],
    ['503', (r) => r.response.writeHead(503).end(), unknown('provider_fault')],
    ['503 with 20504', (r) => r.json(503, { code: 20504 }), busy('provider_fault')],
    [
      '503 with a wait',
      (r) => r.json(503, {}, { 'retry-after': '1' }),
      busy('provider_fault', { retryAfterMs: 1_000 }),
    ],
    ['504', (r) => r.response.writeHead(504).end(), unknown('provider_fault')],
    [
      'a redirect',
      (r) => r.response.writeHead(307, { location: '/elsewhere' }).end(),
      unknown('provider_fault'),
    ],
    ['an answer without end', (r) => r.response.writeHead(201).write('{"sid":'), unknown('no_message_id')],
    ['a refusal without end', (r) => r.response.writeHead(401).write('{'), busy('credentials_refused')],
    [
      'an answer of a megabyte',
      (r) => r.response.writeHead(201).end(' '.repeat(1_000_000)),
      unknown('no_message_id'),
    ],
    ['no answer at all', () => {}, unknown('timeout')],
    ['a connection reset after the request', (r) => r.cut(), unknown('connection_lost')],
    [
      'a connection closed in the middle of the answer',
      (r) => void r.response.writeHead(201).write('{"sid"', () => r.response.socket?.destroy()),
      unknown('no_message_id'),
    ],
    ['no HTTP', (r) => r.response.socket?.end('nonsense\r\n\r\n'), unknown('connection_lost')],
  ]
  test.each(answers)('%s', async (_, onRequest, outcome) => {
    const { server, send } = await scripted(onRequest)
    expect(await send()).toEqual(outcome)
    expect(server.requests).toHaveLength(1)
  })
})

describe('known not to have been sent', () => {
  test('a closed port, until it is open again', async () => {
    const server = await startScriptedRest(accept)
    await server.down()
    const { send, provider, reaches, statuses } = restAt(server.url)
    await reaches('unreachable')
    expect(await send()).toEqual(busy('not_connected'))
    expect(provider.status()).toBe('unreachable')
    await server.up()
    expect(await send()).toMatchObject({ kind: 'accepted' })
    expect(statuses).toEqual(['unreachable', 'ready'])
  })

  test('a name that is nobody’s', async () => {
    expect(await restAt('https://space.invalid', { sendTimeoutMs: 5_000 }).send()).toEqual(
      busy('not_connected'),
    )
  })

  test('a port that speaks no TLS', async () => {
    const server = await startScriptedRest(accept)
    expect(await restAt(server.url.replace('http:', 'https:')).send()).toEqual(busy('not_connected'))
    expect(server.requests).toEqual([])
  })

  test('a TLS handshake that is never answered', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {}))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    onTestFinished(() => void silent.close())
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : 0
    expect(await restAt(`https://127.0.0.1:${port}`).send()).toEqual(busy('not_connected'))
  })

  test('a send that was given up before it began', async () => {
    const { server, send } = await scripted(accept)
    expect(await send(AbortSignal.abort())).toEqual(busy('timeout'))
    expect(server.requests).toEqual([])
  })

  test('a send after close', async () => {
    const { server, provider, send } = await scripted(accept)
    await provider.close()
    expect(await send()).toEqual(busy('not_connected'))
    expect(server.requests).toEqual([])
  })
})

test('a connection that is kept and found closed leaves the send unknown, and the next one opens another', async () => {
  const { server, send } = await scripted(accept)
  await send()
  server.onRequest = (request) => request.cut()
  expect(await send()).toEqual(unknown('connection_lost'))
  server.onRequest = accept
  expect(await send()).toMatchObject({ kind: 'accepted' })
})

test('an abort in flight, and a close in flight, leave a send unknown at once', async () => {
  const { server, provider, send } = await scripted(() => {}, { sendTimeoutMs: 8_000 })
  const abort = new AbortController()
  const aborted = send(abort.signal)
  const closed = send()
  await expect.poll(() => server.requests.length).toBe(2)
  abort.abort()
  expect(await aborted).toEqual(unknown('timeout'))
  await provider.close()
  expect(await closed).toEqual(unknown('connection_lost'))
  expect(provider.status()).toBe('closed')
})

describe('whether it is well', () => {
  const quick = { backoff: { minMs: 5, maxMs: 20, refusedMinMs: 5, refusedMaxMs: 20 } }

  test('is asked at once, by one cheap question with the credentials', async () => {
    const { server, provider, reaches } = await scripted(accept)
    expect(provider.status()).toBe('connecting')
    await reaches('ready')
    expect(server.probes).toMatchObject([
      {
        method: 'GET',
        url: '/api/laml/2010-04-01/Accounts/project/Messages?PageSize=1',
        headers: { authorization: expect.stringMatching(/^Basic /) },
      },
    ])
    expect(server.requests).toEqual([])
  })

  test.each<[number, string]>([
    [401, 'unauthorized'],
    [403, 'unauthorized'],
    [404, 'unauthorized'],
    [500, 'unreachable'],
    [503, 'unreachable'],
    [302, 'unreachable'],
    [429, 'ready'],
  ])('%i says %s', async (status, shown) => {
    const server = await startScriptedRest(accept)
    server.onProbe = (request) => request.json(status, {})
    const { reaches } = restAt(server.url)
    await reaches(shown)
  })

  test('is asked again and again while it is not, without any send, and no more once it is', async () => {
    const server = await startScriptedRest(accept)
    server.onProbe = (request) => request.json(401, { code: 20003 })
    const { reaches, statuses, send } = restAt(server.url, quick)
    await expect.poll(() => server.probes.length).toBeGreaterThan(3)
    await server.down()
    await reaches('unreachable')
    server.onProbe = (request) => request.json(200, { messages: [] })
    await server.up()
    await reaches('ready')
    expect(statuses).toEqual(['unauthorized', 'unreachable', 'ready'])
    const asked = server.probes.length
    for (let n = 0; n < 50; n++) await send()
    expect(server.probes).toHaveLength(asked)
  })

  test('is asked after one send that was not answered', async () => {
    const { send, provider, reaches } = await scripted(() => {}, quick)
    await reaches('ready')
    expect(await send()).toEqual(unknown('timeout'))
    expect(provider.status()).toBe('unreachable')
    await reaches('ready')
  })

  test('is not known after one answer that was lost: others are sent until it is asked', async () => {
    const { server, send, provider, reaches } = await scripted((request) => request.cut(), {
      backoff: { minMs: 400, maxMs: 400 },
    })
    await reaches('ready')
    await Promise.all([send(), send(), send()])
    expect([provider.status(), provider.canSend()]).toEqual(['unreachable', true])
    server.onProbe = (request) => request.cut()
    await expect.poll(() => provider.canSend()).toBe(false)
    await send()
    expect(provider.canSend()).toBe(false)
    server.onProbe = (request) => request.json(200, { messages: [] })
    await reaches('ready')
    await server.down()
    // The first may go into a connection that was kept.
    for (let n = 0; n < 2; n++) await send()
    expect([provider.status(), provider.canSend()]).toEqual(['unreachable', false])
  })

  test('is asked at the pace of the backoff, however many sends fail meanwhile', async () => {
    const { server, send, reaches } = await scripted((request) => request.cut(), {
      backoff: { minMs: 60_000, maxMs: 60_000 },
    })
    await reaches('ready')
    for (let n = 0; n < 20; n++) await send()
    expect(server.probes).toHaveLength(1)
  })

  test('is asked again soon after refusals, however many sends were refused meanwhile', async () => {
    const refused = (request: HttpRequest) => request.json(401, { code: 20003 })
    const { server, send, provider, reaches } = await scripted(refused, {
      backoff: { refusedMinMs: 100, refusedMaxMs: 60_000 },
    })
    await reaches('ready')
    server.onProbe = refused
    await Promise.all(Array.from({ length: 40 }, () => send()))
    expect(provider.status()).toBe('unauthorized')
    server.onProbe = (request) => request.json(200, { messages: [] })
    await reaches('ready')
  })

  test.each([
    [200, 'ready', true],
    [503, 'unreachable', false],
  ])('is asked at once after a fault of theirs: %i says %s', async (status, shown, sends) => {
    const { server, send, provider, reaches } = await scripted((request) => request.json(500, {}))
    await reaches('ready')
    server.onProbe = (request) => request.json(status, {})
    await send()
    await expect.poll(() => server.probes.length).toBe(2)
    await reaches(shown)
    expect(provider.canSend()).toBe(sends)
  })

  test('shows in what can be sent: nothing before the first answer, and while it is not', async () => {
    const server = await startScriptedRest(accept)
    server.onProbe = (request) => request.json(401, {})
    const { provider, reaches } = restAt(server.url, quick)
    expect(provider.canSend()).toBe(false)
    await reaches('unauthorized')
    expect(provider.canSend()).toBe(false)
    server.onProbe = (request) => request.json(200, { messages: [] })
    await reaches('ready')
    expect(provider.canSend()).toBe(true)
    await provider.close()
    expect(provider.canSend()).toBe(false)
  })

  test('cannot be told by a log that fails: one message at a time finds out', async () => {
    const server = await startScriptedRest(accept)
    server.onProbe = (request) => request.json(500, {})
    const { provider, send, reaches } = restAt(server.url, { backoff: { minMs: 60_000, maxMs: 60_000 } })
    await reaches('unreachable')
    expect(provider.canSend()).toBe(true)
    server.onRequest = () => {}
    expect(await send()).toEqual(unknown('timeout'))
    expect(provider.canSend()).toBe(false)
    const later = performance.now() + 10_000
    const clock = vi.spyOn(performance, 'now').mockReturnValue(later)
    onTestFinished(() => void clock.mockRestore())
    expect(provider.canSend()).toBe(true)
    server.onRequest = accept
    expect(await send()).toMatchObject({ kind: 'accepted' })
    expect([provider.status(), provider.canSend()]).toEqual(['ready', true])
  })

  test('is asked no more once it is closed, not even by a question on its way', async () => {
    const server = await startScriptedRest(accept)
    server.onProbe = () => {}
    const { provider, statuses } = restAt(server.url, quick)
    await expect.poll(() => server.probes.length).toBe(1)
    await provider.close()
    const other = restAt(server.url)
    for (let n = 0; n < 50; n++) await other.send()
    // Its own, and that of the other.
    expect([server.probes.length, provider.status(), statuses]).toEqual([2, 'closed', ['closed']])
  })
})

test('refused credentials show until they are taken', async () => {
  const { server, send, provider } = await scripted((request) => request.json(401, { code: 20003 }))
  await send()
  expect(provider.status()).toBe('unauthorized')
  server.onRequest = accept
  await send()
  expect(provider.status()).toBe('ready')
})

describe('the sandbox', () => {
  test.each([
    ['0100', { kind: 'accepted' }, 1],
    ['0104', { kind: 'rejected' }, 0],
    ['0105', { kind: 'busy', reason: 'rate_limited' }, 0],
    ['0106', { kind: 'unknown', reason: 'timeout' }, 0],
    ['0107', { kind: 'unknown', reason: 'connection_lost' }, 1],
    ['0109', { kind: 'unknown', reason: 'no_message_id' }, 1],
    ['0110', { kind: 'unknown', reason: 'provider_fault' }, 0],
    ['0112', { kind: 'busy', reason: 'provider_fault' }, 0],
  ])('%s comes to %j', async (ending, outcome, arrived) => {
    const { sandbox, url } = await startSandbox()
    const { provider } = restAt(url)
    const to = phone(ending)
    expect(await provider.send({ ...MESSAGE, to }, NO_ABORT)).toMatchObject(outcome)
    expect(sandbox.messages(to)).toHaveLength(arrived)
  })
})

describe('the message log', () => {
  const now = Date.now()
  const row = (more: object = {}) => ({
    sid: 'm-7',
    to: MESSAGE.to,
    from: MESSAGE.from,
    body: MESSAGE.body,
    status: 'sent',
    date_created: new Date(now).toUTCString().replace('GMT', '+0000'),
    ...more,
  })
  const old = new Date(now - 60_000).toUTCString()
  const FOUND = { kind: 'found', messageId: 'm-7' }
  const find = async (onRequest: (request: HttpRequest) => void) => {
    const { server, provider } = await scripted(onRequest)
    return { server, findings: await provider.find?.(MESSAGE, now, NO_ABORT) }
  }
  const logs: [string, unknown, unknown][] = [
    ['with the message', [row()], FOUND],
    ['with the message among others', [row({ to: '+1' }), row({ body: 'x' }), row()], FOUND],
    [
      'with the message, a little before by their clock',
      [row({ date_created: new Date(now - 9_000).toUTCString() })],
      FOUND,
    ],
    ['with an older one of the same text', [row({ date_created: old })], 'absent'],
    ['with another text', [row({ body: 'Acme: your code is 111111' })], 'absent'],
    ['with another number', [row({ to: '+12025550124' })], 'absent'],
    ['with another sender', [row({ from: '+12025550101' })], 'absent'],
    ['with the message, which failed', [row({ status: 'failed' })], 'absent'],
    ['with nothing', [], 'absent'],
    ['with a message at that time whose text is not kept', [row({ body: '' })], 'unknowable'],
    ['with an old message whose text is not kept', [row({ body: null, date_created: old })], 'absent'],
    ['without a time', [row({ date_created: undefined })], 'absent'],
    ['without an id', [row({ sid: '' })], 'absent'],
    ['too long to be whole', Array(50).fill(row({ body: 'x' })), 'unknowable'],
    ['of something else', [null, 7, 'x'], 'absent'],
    ['that is no list', 'x', 'unknowable'],
  ]
  test.each(logs)('%s', async (_, messages, findings) => {
    expect((await find((request) => request.json(200, { messages }))).findings).toEqual(findings)
  })

  test.each<[string, (request: HttpRequest) => void]>([
    ['is refused', (request) => request.json(401, { code: 20003 })],
    ['is broken', (request) => request.json(500, {})],
    ['is cut off', (request) => request.cut()],
  ])('that %s does not tell', async (_, onRequest) => {
    expect((await find(onRequest)).findings).toBe('unknowable')
  })

  test('is asked for the two numbers', async () => {
    const { server } = await find((request) => request.json(200, { messages: [] }))
    const { searchParams } = new URL(server.requests[0]?.url ?? '', server.url)
    expect(Object.fromEntries(searchParams)).toMatchObject({ To: MESSAGE.to, From: MESSAGE.from })
    expect(server.requests[0]?.url).not.toContain('735194')
  })

  test('of the sandbox tells what it took and what not', async () => {
    const { url } = await startSandbox()
    const { provider } = restAt(url)
    for (const [ending, findings] of [
      ['0107', { kind: 'found', messageId: expect.any(String) }],
      ['0106', 'absent'],
    ] as const) {
      const message = { ...MESSAGE, to: phone(ending) }
      const sinceMs = Date.now()
      expect(await provider.send(message, NO_ABORT)).toMatchObject({ kind: 'unknown' })
      expect(await provider.find?.(message, sinceMs, NO_ABORT)).toEqual(findings)
    }
  })
})
