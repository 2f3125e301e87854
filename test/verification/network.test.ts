/** Which addresses are one network: an IPv4 address alone, and every address of an IPv6 /64. */
import { describe, expect, it } from 'vitest'
import { networkOf } from '#verification/network.ts'

describe('a network', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['', ''],
  ])('of %j is %j', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })

  it.each([
    ['the first and the last address of a /64', '2001:db8:0:1::', '2001:db8:0:1:ffff:ffff:ffff:ffff'],
    ['every spelling of an address', '2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['leading zeros', '2001:0db8:0001::', '2001:db8:1::'],
    ['an IPv4 address written as IPv6', '::ffff:192.0.2.1', '192.0.2.1'],
    ['the same in hexadecimal', '::ffff:c000:201', '192.0.2.1'],
  ])('is the same for %s', (_, one, other) => {
    expect(networkOf(one)).toBe(networkOf(other))
  })

  it.each([
    ['the /64 before', '2001:db8:0:1::', '2001:db8:0:0:ffff:ffff:ffff:ffff'],
    ['the /64 behind', '2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:2::'],
    ['the IPv4 address beside it', '192.0.2.1', '192.0.2.2'],
    ['an IPv4-compatible address, which is not mapped', '::192.0.2.1', '192.0.2.1'],
  ])('is another for %s', (_, one, other) => {
    expect(networkOf(one)).not.toBe(networkOf(other))
  })
})
