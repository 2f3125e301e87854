/** A signed status callback, as SignalWire would post it to the API of these tests. */
import { createHmac } from 'node:crypto'

export const PATH = '/callbacks/signalwire'
export const INBOUND_PATH = `${PATH}/inbound`
const FORM = 'application/x-www-form-urlencoded'

/** As SignalWire's Compatibility API posts it. */
export function signedForm(query: string, fields: Record<string, string>, at = PATH) {
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  const base = `https://2fa.example.com${at}${query}${sorted.flat().join('')}`
  const signature = createHmac('sha1', 'signing key of the tests').update(base).digest('base64')
  return {
    path: `${at}${query}`,
    body: new URLSearchParams(fields).toString(),
    headers: { 'Content-Type': FORM, 'X-SignalWire-Signature': signature },
  }
}
