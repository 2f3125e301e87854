/**
 * What happens to a message or a call, chosen by the last four digits of where it goes. Data only: the carrier plays
 * it, the page prints it, the README is tested against it.
 */
export type MessageState = 'queued' | 'initiated' | 'sent' | 'delivered' | 'undelivered' | 'failed'

/**
 * Why a message did not arrive: the text of receipts, and the number and the name that REST gives it. `endReason` and
 * `answered` are of a call: how it ended (`noAnswer` unless told), and whether somebody, or something, had taken it.
 */
export type Failure = { reason: string; code: number; name: string; endReason?: string; answered?: boolean }

/** One piece of news from the mobile network, `atMs` after the order was answered. */
export type Step = { state: MessageState; atMs: number; failure?: Failure }

/**
 * How the order itself is answered. In `accepted` and `cut` the message is taken and reaches the phone; in all others
 * it is not. `busy` refuses the first `times` orders of one text to one number, then takes it.
 */
type Reply =
  | { kind: 'accepted'; withId: boolean; afterMs: number }
  | { kind: 'cut' }
  | { kind: 'busy'; times: number }
  | { kind: 'rejected' }
  | { kind: 'fault' }
  | { kind: 'silent' }
  | { kind: 'restart' }

/** `early` is news that leaves before the answer does. `callSteps` is what a call meets where that is another story. */
export type Scenario = {
  ending: string
  title: string
  story: string
  reply: Reply
  early: readonly Step[]
  steps: readonly Step[]
  callSteps?: readonly Step[]
}

const AT_ONCE: Reply = { kind: 'accepted', withId: true, afterMs: 0 }
const SENT: readonly Step[] = [
  { state: 'queued', atMs: 20 },
  { state: 'initiated', atMs: 80 },
  { state: 'sent', atMs: 200 },
]
const DELIVERED: readonly Step[] = [...SENT, { state: 'delivered', atMs: 450 }]

const SWITCHED_OFF: Failure = {
  reason: 'Unreachable destination handset',
  code: 30003,
  name: 'unreachable_destination_handset',
}
const LANDLINE: Failure = { reason: 'Landline or unreachable carrier', code: 30006, name: 'not_routable' }

/** A call that rings and then ends without a person. */
const unheard = (reason: string, endReason: string, answered = false): readonly Step[] => [
  { state: 'queued', atMs: 20 },
  { state: 'initiated', atMs: 80 },
  { state: 'undelivered', atMs: 450, failure: { reason, code: 0, name: endReason, endReason, answered } },
]

type Row = Pick<Scenario, 'ending' | 'title' | 'story' | 'reply'> & Partial<Scenario>
const row = (scenario: Row): Scenario => ({ early: [], steps: [], ...scenario })

/** Destinations whose ending is in no row behave like this one. */
export const ORDINARY = row({
  ending: '0100',
  title: 'Delivered',
  story:
    'Queued, initiated, sent and delivered within half a second. Every number not named below does the same.',
  reply: AT_ONCE,
  steps: DELIVERED,
})

/** Every scenario, in the order of its ending. */
export const SCENARIOS: readonly Scenario[] = [
  ORDINARY,
  row({
    ending: '0101',
    title: 'Delivered late',
    story: 'Sent at once, delivered after 15 seconds.',
    reply: AT_ONCE,
    steps: [...SENT, { state: 'delivered', atMs: 15_000 }],
  }),
  row({
    ending: '0102',
    title: 'Undelivered',
    story: 'Accepted and sent, then undelivered: the handset is switched off.',
    reply: AT_ONCE,
    steps: [...SENT, { state: 'undelivered', atMs: 450, failure: SWITCHED_OFF }],
  }),
  row({
    ending: '0103',
    title: 'Failed',
    story: 'Accepted, then failed: the number cannot be reached by SMS.',
    reply: AT_ONCE,
    steps: [
      { state: 'queued', atMs: 20 },
      { state: 'failed', atMs: 200, failure: LANDLINE },
    ],
  }),
  row({
    ending: '0104',
    title: 'Rejected',
    story: 'Refused for good with code 400. Nothing arrives.',
    reply: { kind: 'rejected' },
  }),
  row({
    ending: '0105',
    title: 'Busy twice',
    story: 'The same text is refused twice with code 429, and delivered the third time.',
    reply: { kind: 'busy', times: 2 },
    steps: DELIVERED,
  }),
  row({
    ending: '0106',
    title: 'Never answered',
    story: 'The request gets no answer, ever. Nothing arrives.',
    reply: { kind: 'silent' },
  }),
  row({
    ending: '0107',
    title: 'Connection lost',
    story: 'The message arrives, but the connection is cut before the answer. Delivered after 5 seconds.',
    reply: { kind: 'cut' },
    steps: [...SENT, { state: 'delivered', atMs: 5_000 }],
  }),
  row({
    ending: '0108',
    title: 'News out of order',
    story: 'Delivered, but the receipts are doubled and out of order, and the first comes before the answer.',
    reply: { kind: 'accepted', withId: true, afterMs: 100 },
    early: [{ state: 'sent', atMs: 0 }],
    steps: [
      { state: 'delivered', atMs: 60 },
      { state: 'queued', atMs: 90 },
      { state: 'sent', atMs: 120 },
      { state: 'initiated', atMs: 150 },
      { state: 'queued', atMs: 180 },
      { state: 'delivered', atMs: 240 },
    ],
  }),
  row({
    ending: '0109',
    title: 'No message id',
    story: 'The answer says yes but names no message id. The message arrives.',
    reply: { kind: 'accepted', withId: false, afterMs: 0 },
    steps: DELIVERED,
  }),
  row({
    ending: '0110',
    title: 'Provider fault',
    story: 'Answered with an internal error (JSON-RPC -32603, HTTP 500). Nothing arrives.',
    reply: { kind: 'fault' },
  }),
  row({
    ending: '0111',
    title: 'No receipt',
    story: 'Accepted, the message arrives, and no receipt ever comes.',
    reply: AT_ONCE,
  }),
  row({
    ending: '0112',
    title: 'Server restart',
    story:
      'The server says goodbye, never answers and closes the connection a second later. Nothing arrives.',
    reply: { kind: 'restart' },
  }),
  row({
    ending: '0113',
    title: 'Slow answer',
    story: 'Answered after 3 seconds, then delivered.',
    reply: { kind: 'accepted', withId: true, afterMs: 3_000 },
    steps: DELIVERED,
  }),
  row({
    ending: '0114',
    title: 'Line busy',
    story: 'A call finds the line busy. An SMS is delivered.',
    reply: AT_ONCE,
    steps: DELIVERED,
    callSteps: unheard('Busy', 'busy'),
  }),
  row({
    ending: '0115',
    title: 'No answer',
    story: 'A call is not answered. An SMS is delivered.',
    reply: AT_ONCE,
    steps: DELIVERED,
    callSteps: unheard('No answer', 'noAnswer'),
  }),
  row({
    ending: '0116',
    title: 'Answering machine',
    story: 'A machine takes the call, which then hangs up without the code. An SMS is delivered.',
    reply: AT_ONCE,
    steps: DELIVERED,
    callSteps: unheard('Answering machine', 'decline', true),
  }),
]

const byEnding = new Map(SCENARIOS.map((scenario) => [scenario.ending, scenario]))

/** @param to a destination in E.164; only its last four characters count. */
export function scenarioFor(to: string): Scenario {
  return byEnding.get(to.slice(-4)) ?? ORDINARY
}
