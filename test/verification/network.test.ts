/** Which addresses count as one. */
import { isIP } from 'node:net'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { networkOf } from '#verification/network.ts'

it.each([
  ['203.0.113.7', { ip: '203.0.113.7' }],
  ['::ffff:203.0.113.7', { ip: '203.0.113.7' }],
  ['::FFFF:203.0.113.7', { ip: '203.0.113.7' }],
  ['::ffff:cb00:7107', { ip: '203.0.113.7' }],
  ['0:0:0:0:0:ffff:203.0.113.7', { ip: '203.0.113.7' }],
  ['2001:db8:1:2:3:4:5:6', { ip: '2001:db8:1:2::/64', network: '2001:db8:1::/48' }],
  ['2001:DB8:1:2::', { ip: '2001:db8:1:2::/64', network: '2001:db8:1::/48' }],
  ['2001:0db8:0001:0002::1', { ip: '2001:db8:1:2::/64', network: '2001:db8:1::/48' }],
  ['2001:db8::1', { ip: '2001:db8:0:0::/64', network: '2001:db8:0::/48' }],
  ['::1', { ip: '0:0:0:0::/64', network: '0:0:0::/48' }],
  ['fe80::1%eth0', { ip: 'fe80:0:0:0::/64', network: 'fe80:0:0::/48' }],
  ['64:ff9b::203.0.113.7', { ip: '64:ff9b:0:0::/64', network: '64:ff9b:0::/48' }],
])('%s', (address, expected) => {
  expect(networkOf(address)).toEqual(expected)
})

it('every spelling of an address is one network, and its /64 neighbours are too', () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      fc.pre(isIP(address) === 6)
      const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
      expect(networkOf(canonical)).toEqual(networkOf(address))
      expect(networkOf(address.toUpperCase())).toEqual(networkOf(address))
    }),
  )
})
