/**
 * The limits of a number as settings. They hold for whoever owns the number, whatever else is switched off: so they have
 * bounds instead of modes, and none can be off.
 */
import { HARD_LIMITS, type Policy, type WindowLimit } from '#verification/policy.ts'
import { integer, type Kind, listOf, type Reader } from './env.ts'

const SECOND = 1_000
/** Shorter, and the message before is still on its way; longer, and its reader has given up. */
const WAIT_SECONDS = [15, 300] as const
/** Without one nothing would keep two messages apart. */
const WAITS_MOST = 5
/** Fewer, and a slip of the finger or two shut a person out, or anybody who knows the number does. */
const WINDOW_WRONG_LEAST = 3
/** Fewer, and a person with a bad day is locked out by themselves: a verification alone takes up to ten. */
const WRONG_IN_A_ROW_LEAST = 20
const BLOCK_SECONDS = [60, 86_400] as const

const waits: Kind<number[]> = {
  expected: `1 to ${WAITS_MOST} numbers of seconds from ${WAIT_SECONDS.join(' to ')}, comma-separated, such as 30,60,120`,
  parse(text) {
    const seconds = listOf(integer(...WAIT_SECONDS)).parse(text)
    return seconds && seconds.length <= WAITS_MOST ? seconds : undefined
  },
}

/** Each by LIMIT_ and its name, as the rules of the gate. */
function readWindows(reader: Reader, limits: readonly WindowLimit[], bounds: Kind<number>): WindowLimit[] {
  return limits.map((limit) => ({
    ...limit,
    max: reader.value(`LIMIT_${limit.name.toUpperCase()}`, bounds, limit.max),
  }))
}

/** All of them end while a message is still worth sending. Those that are not set are as many as do. */
function readResendWaits(
  reader: Reader,
  { resendWaitsMs, codeTtlMs, sendReserveMs }: Policy,
): readonly number[] {
  const name = 'RESEND_WAITS_SECONDS'
  const longestMs = codeTtlMs - sendReserveMs
  const wanted = reader
    .value(name, waits as Kind<number[] | undefined>, undefined)
    ?.map((seconds) => seconds * SECOND)
  const all = wanted ?? resendWaitsMs
  const inTime = all.filter((_, index) => total(all.slice(0, index + 1)) < longestMs)
  if (wanted && inTime.length < wanted.length) {
    const most = longestMs / SECOND - 1
    reader.problem(
      name,
      `must be at most ${most} together: the code is sent no more in the last minute of its life`,
    )
  }
  return inTime
}

function readPayments(reader: Reader, payments: Policy['payments']): Policy['payments'] {
  const blockSeconds = integer(...BLOCK_SECONDS)
  return {
    ...payments,
    wrongMax: reader.value('PAYMENT_WRONG_MAX', integer(1, HARD_LIMITS.wrongPaymentMax), payments.wrongMax),
    blockMs: reader.value('PAYMENT_BLOCK_SECONDS', blockSeconds, payments.blockMs / SECOND) * SECOND,
  }
}

const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)

/** `policy`: with the life of a code that was read. */
export function readNumberLimits(
  reader: Reader,
  policy: Policy,
): Pick<Policy, 'resendWaitsMs' | 'sendLimits' | 'wrongCheckLimits' | 'wrongInARowMax' | 'payments'> {
  return {
    resendWaitsMs: readResendWaits(reader, policy),
    sendLimits: readWindows(reader, policy.sendLimits, integer(1, HARD_LIMITS.windowSends)),
    wrongCheckLimits: readWindows(
      reader,
      policy.wrongCheckLimits,
      integer(WINDOW_WRONG_LEAST, HARD_LIMITS.windowWrongChecks),
    ),
    wrongInARowMax: reader.value(
      'WRONG_IN_A_ROW_MAX',
      integer(WRONG_IN_A_ROW_LEAST, HARD_LIMITS.wrongInARowMax),
      policy.wrongInARowMax,
    ),
    payments: readPayments(reader, policy.payments),
  }
}
