/**
 * A call of SignalWire's calling API: the document it plays (SWML, inline, so that no code is fetched from a URL), and
 * what its end says. A machine that picks up hears nothing: a code on a voice mail is a code for whoever listens to it.
 */
import type { ReceiptState } from '#verification/outcome.ts'
import type { SpokenMessage } from './provider.ts'

/** How long it rings; longer ends at a voice mail. */
const RING_S = 30
/** The end of a call that our document gives when a machine has picked up. */
const MACHINE_END = 'decline'

/** The body of `POST /api/calling/calls`. */
export function callOf({ from, to, speech }: SpokenMessage, callback: string | undefined): object {
  const urls = speech.parts.map((part) => (typeof part === 'number' ? `silence:${part}` : `say:${part}`))
  const main = [
    { detect_machine: { detectors: 'amd' } },
    {
      switch: {
        variable: 'detect_result',
        case: { machine: [{ hangup: { reason: MACHINE_END } }] },
        default: [{ play: { urls, say_language: speech.language } }, { hangup: {} }],
      },
    },
  ]
  return {
    command: 'dial',
    params: {
      from,
      to,
      timeout: RING_S,
      ...(callback === undefined ? {} : { status_url: callback, status_events: ['ended'] }),
      swml: { version: '1.0.0', sections: { main } },
    },
  }
}

/** Hung up after it was answered: the code was heard, as far as anybody can tell. */
const ENDS: Readonly<Record<string, CallNews>> = {
  hangup: { state: 'delivered' },
  busy: { state: 'undelivered', reason: 'busy' },
  noanswer: { state: 'undelivered', reason: 'no answer' },
  cancel: { state: 'undelivered', reason: 'no answer' },
}

type CallNews = { state?: ReceiptState; reason?: string }

/** News of a call by its state and, once it has ended, by how; as SignalWire spells them. */
export function newsOfCall(params: Partial<Record<string, unknown>>): CallNews {
  if (params.call_state !== 'ended') return {}
  const end = String(params.end_reason)
    .replace(/[^a-z]/gi, '')
    .toLowerCase()
  if (end === MACHINE_END) return { state: 'undelivered', reason: whoDeclined(params) }
  return ENDS[end] ?? { state: 'failed', reason: `call ended: ${end}` }
}

/** Once a call was answered, nobody declines it but our document, when a machine has picked up. */
function whoDeclined({ start_time, answer_time }: Partial<Record<string, unknown>>): string {
  if (Number(answer_time) > 0) return 'machine'
  return Number(start_time) > 0 ? 'declined' : 'declined, or a machine'
}
