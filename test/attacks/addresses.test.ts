/**
 * Limits that believe what a stranger says of themselves, and sends at the cost of others, through the open form.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { apiOn, FORM_APPLICATION, keptLog, type Line } from '#test/api/api.ts'
import { listen } from '#test/api/port.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { elsewhere, freshPrefix, rule, START, strangerAt } from './stranger.ts'

const connection = useRedis()

describe('a limit that believes a header (CVE-2020-35590, CVE-2025-69615):', () => {
  it.each([
    'X-Forwarded-For',
    'X-Real-IP',
    'Forwarded',
    'CF-Connecting-IP',
    'True-Client-IP',
    'X-Client-IP',
    'X-Originating-IP',
    'Client-IP',
  ])('a new %s for each request is one address still', async (header) => {
    const api = apiOn(connection.redis, { policy: { rules: [rule('ip', 'sends', 2)] } })
    const statuses = []
    for (let turn = 1; turn <= 4; turn++) {
      const claimed = header === 'Forwarded' ? `for=192.0.2.${turn}` : `192.0.2.${turn}`
      const stranger = strangerAt(api, '203.0.113.7', { [header.toLowerCase()]: claimed })
      statuses.push((await stranger.ask(elsewhere())).status)
    }
    expect(statuses).toEqual([200, 200, 429, 429])
  })

  it('behind our own proxy only what the proxy wrote counts, not what the client wrote before', async () => {
    const config = { trustedProxies: ['10.0.0.0/8'] }
    const api = apiOn(connection.redis, { config, policy: { rules: [rule('ip', 'sends', 1)] } })
    const statuses = []
    for (let turn = 1; turn <= 3; turn++) {
      const headers = { 'x-forwarded-for': `192.0.2.${turn}, 10.0.0.${turn}, 203.0.113.7` }
      statuses.push((await strangerAt(api, '10.0.0.1', headers).ask(elsewhere())).status)
    }
    expect(statuses).toEqual([200, 429, 429])
  })

  it('a new address for each request is no way around the limits of a number (GHSA-c55g-q6f4-5qxr)', async () => {
    const policy = { resendWaitsMs: [0, 0, 0, 0, 0, 0], rules: [] }
    const api = apiOn(connection.redis, { policy })
    const to = elsewhere()
    const statuses = []
    for (let turn = 1; turn <= 7; turn++)
      statuses.push((await strangerAt(api, `192.0.2.${turn}`).ask(to)).status)
    expect(statuses).toEqual([...Array(5).fill(200), 429, 429])
  })

  it('hopping through an IPv6 line is one address, and through its /48 one network', async () => {
    const rules = [rule('ip', 'sends', 1), { ...rule('network', 'sends', 3), name: 'network' }]
    const api = apiOn(connection.redis, { policy: { rules } })
    const asked = async (address: string) => (await strangerAt(api, address).ask(elsewhere())).status
    expect(await asked('2001:db8:1:1::1')).toBe(200)
    expect(await asked('2001:db8:1:1:ffff::2')).toBe(429)
    const lines = []
    for (let line = 2; line <= 5; line++) lines.push(await asked(`2001:db8:1:${line}::1`))
    expect(lines).toEqual([200, 200, 429, 429])
  })
})

describe('a caller who resets the connection behind each request, and so has no address,', () => {
  const TRIES = 12

  /** Each number asked for on a connection of its own; all of it is written before the server sees any. */
  async function askAndReset(port: number, path: string, fields: Record<string, string>): Promise<void> {
    const body = new URLSearchParams(fields).toString()
    const head = [
      `POST ${path} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
    ]
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
    socket.resetAndDestroy()
  }

  it.each([
    ['/request-auth', {}],
    ['/validate-auth', { auth_code: '012345' }],
  ])('is not served at %s: the limits of an address would not know them', async (path, more) => {
    const lines: Line[] = []
    const api = apiOn(connection.redis)
    const { port } = await listen(api.app, { log: keptLog(lines) })
    for (let turn = 0; turn < TRIES; turn++) await askAndReset(port, path, { number: elsewhere(), ...more })
    const refused = () => lines.filter(({ reason }) => reason === 'caller_gone')
    await vi.waitFor(() => expect(refused().length + api.lines.length).toBe(TRIES))
    expect(api.lines).toEqual([])
    expect(api.enqueued).toEqual([])
  })
})

describe('sending at the cost of others:', () => {
  it('a row of numbers at the open form is asked for work, then held back unseen, whatever the addresses', async () => {
    const api = apiOn(connection.redis)
    const numberAt = freshPrefix()
    const statuses = []
    for (let index = 0; index < 60; index++)
      statuses.push((await strangerAt(api, `192.0.2.${index}`).ask(numberAt(index))).status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(8)
    for (let range = 1; range <= 9; range++)
      for (let index = 0; index < 8; index++)
        await strangerAt(api, `198.51.${range}.${index}`).ask(numberAt(range * 1_000 + index))
    let unheld = 0
    for (const { verification } of api.enqueued) {
      const held = await connection.redis.hget(
        api.store.keys.verification(FORM_APPLICATION, verification),
        'held',
      )
      if (held === null) unheld += 1
    }
    expect(unheld).toBe(20)
  })

  it.each([
    '+19002345678',
    '+18002345678',
    '+442079460000',
    '+447012345678',
    '+18762345678',
    '911',
    '+97912345678',
  ])('%s, which costs more or reaches nobody, is refused before anything is counted', async (number) => {
    const api = apiOn(connection.redis)
    expect((await strangerAt(api).ask(number)).status).toBe(400)
    expect((await api.post(START, { to: number })).status).toBe(422)
    expect(await connection.redis.keys(api.store.keys.every())).toEqual([])
  })
})
