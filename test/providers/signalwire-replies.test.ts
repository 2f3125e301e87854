/** SignalWire's answers and reasons, one row each, in our words. */
import { describe, expect, test } from 'vitest'
import { outcomeOfRejection, outcomeOfReply, receiptOf, washReason } from '#providers/signalwire-replies.ts'

const busy = (reason: string) => ({ kind: 'busy', reason })
const unknown = (reason: string) => ({ kind: 'unknown', reason })
const BLOCKED = { kind: 'rejected', reason: 'account_blocked' }
const REJECTED = { kind: 'rejected', reason: 'refused_by_provider' }

describe('a refusal of SignalWire', () => {
  const codes: [string, object][] = [
    ['399', unknown('provider_fault')],
    ['400', REJECTED],
    ['401', busy('credentials_refused')],
    ['402', BLOCKED],
    ['403', busy('credentials_refused')],
    ['404', REJECTED],
    ['422', REJECTED],
    ['429', busy('rate_limited')],
    ['499', REJECTED],
    ['500', busy('provider_fault')],
    ['599', busy('provider_fault')],
    ['600', unknown('provider_fault')],
    ['4001', BLOCKED],
    ['20003', busy('credentials_refused')],
    ['20429', busy('rate_limited')],
    ['21211', REJECTED],
    ['21212', { kind: 'rejected', reason: 'misconfigured' }],
    ['21606', { kind: 'rejected', reason: 'not_reachable' }],
    ['21610', { kind: 'rejected', reason: 'opted_out' }],
    ['21611', busy('rate_limited')],
    ['30002', BLOCKED],
    ['30022', busy('rate_limited')],
    ['rate_limit_exceeded', busy('rate_limited')],
    ['insufficient_balance', BLOCKED],
    ['invalid_to_number', REJECTED],
    ['a_name_nobody_knows', unknown('provider_fault')],
    ['', unknown('provider_fault')],
  ]
  test.each(codes)('with code "%s"', (code, outcome) => {
    expect(outcomeOfRejection({ code, message: 'text' })).toEqual(outcome)
  })
})

describe('any other rejection', () => {
  const rejections: [string, unknown, object][] = [
    ['JSON-RPC -32002', { code: -32002 }, busy('credentials_refused')],
    ['JSON-RPC -32603', { code: -32603, message: 'text' }, unknown('provider_fault')],
    ['JSON-RPC 400', { code: 400 }, unknown('provider_fault')],
    [
      "the SDK's symbol of a cut socket",
      Symbol.for('sw-execute-connection-closed'),
      unknown('connection_lost'),
    ],
    ["the SDK's TypeError after ten seconds", new TypeError('Cannot convert'), unknown('connection_lost')],
    ['undefined', undefined, unknown('connection_lost')],
    ['null', null, unknown('connection_lost')],
    ['a string', '400', unknown('connection_lost')],
    ['an object without a code', {}, unknown('connection_lost')],
  ]
  test.each(rejections)('%s', (_, rejection, outcome) => {
    expect(outcomeOfRejection(rejection)).toEqual(outcome)
  })
})

describe('a reply', () => {
  const replies: [string, unknown, object][] = [
    ['with 200 and an id is accepted', { code: '200', messageId: 'm' }, { kind: 'accepted', messageId: 'm' }],
    ['with 202 and an id is accepted', { code: '202', messageId: 'm' }, { kind: 'accepted', messageId: 'm' }],
    ['without an id is unknown', { code: '200' }, unknown('no_message_id')],
    ['with an empty id is unknown', { code: '200', messageId: '' }, unknown('no_message_id')],
    ['with an id that is no text is unknown', { code: '200', messageId: 7 }, unknown('no_message_id')],
    ['without a code is unknown', { messageId: 'm' }, unknown('provider_fault')],
    ['that is nothing is unknown', undefined, unknown('provider_fault')],
  ]
  test.each(replies)('%s', (_, reply, outcome) => {
    expect(outcomeOfReply(reply)).toEqual(outcome)
  })
})

describe('a reason', () => {
  test.each([
    ['keeps five digits', 'error 30005', 'error 30005'],
    ['loses six', 'code 735194 blocked', 'code blocked'],
    ['loses seven', 'code 7351942 blocked', 'code blocked'],
    ['loses six with spaces and dashes between', 'code 7 35-1 94.', 'code .'],
    ['loses a number as people write it', 'to +1 (202) 555-0123', 'to +'],
    ['loses digits of other scripts', 'code ٧٣٥١٩٤', 'code'],
    ['loses digits split by invisible characters', 'code 735\u200b194', 'code'],
    ['loses control characters', 'a\u0000b\u001b[31mc\r\nd', 'a b [31mc d'],
    ['is at most 80 characters long', 'x'.repeat(81), 'x'.repeat(80)],
    ['is not cut inside a character', `${'x'.repeat(79)}😀😀`, `${'x'.repeat(79)}😀`],
  ])('%s', (_, reason, washed) => {
    expect(washReason(reason)).toBe(washed)
  })
})

describe('a message update', () => {
  test.each([
    [
      'of a state we know is a receipt',
      { id: 'm', state: 'sent', tags: ['r', 's'] },
      { messageId: 'm', state: 'sent', reference: 'r' },
    ],
    [
      'with an empty reason is a receipt without one',
      { id: 'm', state: 'sent', reason: '' },
      { messageId: 'm', state: 'sent' },
    ],
    ['of an inbound message is none', { id: 'm', state: 'received' }, undefined],
    ['of a state named like a property of objects is none', { id: 'm', state: 'constructor' }, undefined],
    ['without an id is none', { id: '', state: 'sent' }, undefined],
    ['that is nothing is none', undefined, undefined],
  ])('%s', (_, update, receipt) => {
    expect(receiptOf(update)).toEqual(receipt)
  })
})
