/** Whose address a request has: the socket's, and what a header claims only behind a proxy of ours. */
import { describe, expect, it } from 'vitest'
import { createClientIp } from '#api/client-ip.ts'

type Row = { name: string; trusted?: string[]; socket: string; forwarded?: string; expected: string }

const PROXIES = ['10.0.0.0/8', '192.0.2.1', 'fd00::/8']

describe.each<Row>([
  { name: 'without proxies it is the socket', socket: '203.0.113.9', expected: '203.0.113.9' },
  {
    name: 'without proxies a header is nothing',
    socket: '203.0.113.9',
    forwarded: '198.51.100.1',
    expected: '203.0.113.9',
  },
  {
    name: 'a stranger’s header is nothing, even with proxies',
    trusted: PROXIES,
    socket: '203.0.113.9',
    forwarded: '198.51.100.1',
    expected: '203.0.113.9',
  },
  { name: 'a proxy without a header is itself', trusted: PROXIES, socket: '10.1.2.3', expected: '10.1.2.3' },
  {
    name: 'behind one proxy it is the last address',
    trusted: PROXIES,
    socket: '10.1.2.3',
    forwarded: '198.51.100.1',
    expected: '198.51.100.1',
  },
  {
    name: 'what the client wrote itself stands before and is nothing',
    trusted: PROXIES,
    socket: '10.1.2.3',
    forwarded: '1.1.1.1, 10.9.9.9, 198.51.100.1',
    expected: '198.51.100.1',
  },
  {
    name: 'behind a chain of proxies it is the first stranger from the end',
    trusted: PROXIES,
    socket: '10.1.2.3',
    forwarded: '1.1.1.1,198.51.100.1 , 192.0.2.1,10.4.4.4',
    expected: '198.51.100.1',
  },
  {
    name: 'a chain of nothing but proxies is its first',
    trusted: PROXIES,
    socket: '10.1.2.3',
    forwarded: '10.7.7.7, 10.4.4.4',
    expected: '10.7.7.7',
  },
  {
    name: 'rubbish in the header stops the search at the proxy that passed it on',
    trusted: PROXIES,
    socket: '10.1.2.3',
    forwarded: '198.51.100.1, unknown, 10.4.4.4',
    expected: '10.4.4.4',
  },
  {
    name: 'a port behind an address is rubbish',
    trusted: PROXIES,
    socket: '10.1.2.3',
    forwarded: '198.51.100.1:5000',
    expected: '10.1.2.3',
  },
  {
    name: 'an empty header is nothing',
    trusted: PROXIES,
    socket: '10.1.2.3',
    forwarded: '',
    expected: '10.1.2.3',
  },
  {
    name: 'IPv6 behind an IPv6 proxy',
    trusted: PROXIES,
    socket: 'fd00::1',
    forwarded: '2001:db8::9',
    expected: '2001:db8::9',
  },
  { name: 'IPv4 on a dual-stack socket is IPv4', socket: '::ffff:203.0.113.9', expected: '203.0.113.9' },
  {
    name: 'an IPv4 proxy on a dual-stack socket is trusted',
    trusted: PROXIES,
    socket: '::ffff:10.1.2.3',
    forwarded: '::ffff:198.51.100.1',
    expected: '198.51.100.1',
  },
  {
    name: 'the address next to a range is a stranger',
    trusted: ['10.0.0.0/30'],
    socket: '10.0.0.4',
    forwarded: '198.51.100.1',
    expected: '10.0.0.4',
  },
  {
    name: 'the last address of a range is a proxy',
    trusted: ['10.0.0.0/30'],
    socket: '10.0.0.3',
    forwarded: '198.51.100.1',
    expected: '198.51.100.1',
  },
  {
    name: 'trusting every IPv4 trusts no IPv6',
    trusted: ['0.0.0.0/0'],
    socket: '2001:db8::9',
    forwarded: '198.51.100.1',
    expected: '2001:db8::9',
  },
  { name: 'no socket at all is no address', socket: '', expected: '' },
])('$name', ({ trusted = [], socket, forwarded, expected }) => {
  it(`${socket || 'none'} with ${JSON.stringify(forwarded) ?? 'no header'} is ${expected || 'nothing'}`, () => {
    expect(createClientIp(trusted)(socket, forwarded)).toBe(expected)
  })
})
