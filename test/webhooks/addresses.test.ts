/** Where a webhook may go: every kind of address, however it is written, and names that lead to several. */
import { describe, expect, it } from 'vitest'
import { checkHost, hostOf, isAllowed, pinned, type Resolve } from '#webhooks/addresses.ts'

const PUBLIC = [
  '8.8.8.8',
  '93.184.215.14',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '2606:4700::1111',
]
const HERE = [
  '127.0.0.1',
  '127.255.255.255',
  '::1',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
]
const OURS = [...HERE, '100.64.0.1', '100.127.255.255', 'fd00::1', 'fc00::1']
const NEVER = [
  ...[
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
  ],
  ...['192.0.0.1', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '192.88.99.1'],
  ...[
    '::',
    'fe80::1',
    'febf::1',
    'fec0::1',
    'ff02::1',
    '2001:db8::1',
    '2001::1',
    '100::1',
    '4000::1',
    '5f00::1',
  ],
  ...[
    'fe80::1%eth0',
    '::2',
    '::8.8.8.8',
    '::127.0.0.1',
    '::7f00:1',
    '::ffff:0:127.0.0.1',
    '64:ff9b:1::7f00:1',
    '2002:7f00:1::',
    '2002:808:808::',
  ],
  ...['', 'localhost', 'example.com', '1', '127.1', '0x7f000001', '2130706433', '[::1]'],
]

describe('an address', () => {
  it.each(PUBLIC)('%s may be told', (address) => {
    expect([isAllowed(address, false), isAllowed(address, true)]).toEqual([true, true])
  })

  it.each(OURS)('%s may be told only where private ones are allowed', (address) => {
    expect([isAllowed(address, false), isAllowed(address, true)]).toEqual([false, true])
  })

  it.each(NEVER)('%j may never be told', (address) => {
    expect([isAllowed(address, false), isAllowed(address, true)]).toEqual([false, false])
  })

  it.each([
    ['::ffff:127.0.0.1', false],
    ['::ffff:7f00:1', false],
    ['::ffff:a9fe:a9fe', false],
    ['::ffff:8.8.8.8', true],
    ['64:ff9b::127.0.0.1', false],
    ['64:ff9b::a00:1', false],
    ['64:ff9b::8.8.8.8', true],
  ])('%s, with an IPv4 address inside, is judged by that one: %s', (address, allowed) => {
    expect(isAllowed(address, false)).toBe(allowed)
  })

  it('inside another that is the link of a cloud is refused even where private ones are allowed', () => {
    expect(isAllowed('::ffff:169.254.169.254', true)).toBe(false)
    expect(isAllowed('64:ff9b::169.254.169.254', true)).toBe(false)
  })
})

const answering = (...addresses: string[]): Resolve => {
  return async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

describe('a host', () => {
  it.each([
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://127.0.0.1./',
    'https://[::ffff:127.0.0.1]/',
    'https://[::1]/',
    'https://[0:0:0:0:0:0:0:1]/',
    'https://１２７.0.0.1/',
  ])('written as %s is this machine', async (text) => {
    const resolve: Resolve = () => Promise.reject(new Error('no name to ask for'))
    const checked = await checkHost(hostOf(new URL(text)), { resolve, allowPrivate: false })
    expect(checked).toEqual({ kind: 'blocked' })
  })

  it.each([
    ['public and private', ['8.8.8.8', '10.0.0.1']],
    ['private and public', ['10.0.0.1', '8.8.8.8']],
    ['public by IPv4, this machine by IPv6', ['8.8.8.8', '::1']],
  ])('with addresses that are %s is refused as a whole', async (_, addresses) => {
    const checked = await checkHost('example.com', { resolve: answering(...addresses), allowPrivate: false })
    expect(checked).toEqual({ kind: 'blocked' })
  })

  it('that leads nowhere, or about which nobody answers, is not found', async () => {
    const silent: Resolve = () => Promise.reject(new Error('ENOTFOUND'))
    for (const resolve of [answering(), silent])
      expect(await checkHost('example.com', { resolve, allowPrivate: false })).toEqual({ kind: 'not_found' })
  })

  it('is connected to by the addresses that were checked, whatever its name says later', async () => {
    let asked = 0
    const rebinding: Resolve = async () => {
      asked += 1
      return [{ address: asked === 1 ? '8.8.8.8' : '127.0.0.1', family: 4 }]
    }
    const checked = await checkHost('example.com', { resolve: rebinding, allowPrivate: false })
    const lookup = pinned(checked.kind === 'checked' ? checked.addresses : [])
    const [one, all] = [
      await new Promise((resolve) => lookup('example.com', {}, (_, address) => resolve(address))),
      await new Promise((resolve) => lookup('example.com', { all: true }, (_, address) => resolve(address))),
    ]
    expect([one, all]).toEqual(['8.8.8.8', [{ address: '8.8.8.8', family: 4 }]])
    expect(asked).toBe(1)
    const again = await checkHost('example.com', { resolve: rebinding, allowPrivate: false })
    expect(again).toEqual({ kind: 'blocked' })
  })
})
