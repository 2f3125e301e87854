/** What people write to our numbers: heeded by the real store, answered once, and nothing of its text kept or said. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { TextMessage } from '#providers/provider.ts'
import { createReceipts } from '#receipts/receipts.ts'
import type { LogFields } from '#runtime/log.ts'
import { StoreFault } from '#store/script.ts'
import { createStop } from '#store/stop.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Destination } from '#verification/destination.ts'
import type { Counted, Mode, Rule, Scope } from '#verification/gate.ts'
import { readKeyword } from '#verification/keyword.ts'
import { createObjectionTo } from '#verification/objection.ts'
import type { Outcome } from '#verification/outcome.ts'
import type { Policy } from '#verification/policy.ts'
import { createInbound, type InboundMessages } from '#worker/inbound.ts'

const connection = useRedis()
const OURS = '+12025550199'
const GO = { kind: 'go', explain: '' } as const
const WAIT = { kind: 'wait', waitMs: 250, why: 'not_sent_in_time' } as const
const stops: InboundMessages[] = []

function listening(
  replies: (Outcome | ((message: TextMessage) => Promise<Outcome>))[] = [],
  { policy = {}, denied = [] }: { policy?: Partial<Policy>; denied?: string[] } = {},
) {
  const store = storeOn(connection.redis, policy)
  const lists = { allowed: [], denied, tests: [] }
  const sent: TextMessage[] = []
  const lines: (LogFields & { level: string; msg: string })[] = []
  const keep = (level: string) => (fields: LogFields, msg: string) =>
    void lines.push({ ...fields, level, msg })
  const log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
  const inbound = createInbound({
    suppressions: store.suppressions,
    replies: store.replies,
    async send(message) {
      sent.push(message)
      const reply = replies.shift() ?? { kind: 'accepted', messageId: `m${sent.length}` }
      return typeof reply === 'function' ? reply(message) : reply
    },
    objectionTo: createObjectionTo({ lists, regions: new Set(['US']) }),
    brand: 'Example',
    contact: 'help@example.com',
    log,
    random: () => 0,
  })
  stops.push(inbound)
  const destination = freshDestination()
  let messages = 0
  const tell = (text: string, more: { from?: string; to?: string } = {}) =>
    inbound.take({ messageId: `in-${++messages}`, from: destination, to: OURS, text, ...more })
  return {
    ...store,
    ...inbound,
    destination,
    sent,
    lines,
    log,
    tell,
    async say(text: string, more: { from?: string; to?: string } = {}) {
      tell(text, more)
      await inbound.settled()
    },
    tryStart: (to: Destination = destination) => store.verifications.start(store.requestFor(to)),
  }
}

afterEach(() => {
  vi.useRealTimers()
  for (const { stop } of stops.splice(0)) stop()
})

const OPTED_OUT = { kind: 'refused', refusal: 'recipient_opted_out' }

describe('a keyword', () => {
  it('stop keeps codes from the number, and is answered from the number it came to', async () => {
    const { say, sent, destination, tryStart } = listening()
    await say('Stop, please!')
    expect(sent).toEqual([
      {
        from: OURS,
        to: destination,
        body: 'Example: You have opted out and will get no more messages. Reply START to opt in again.',
        reference: 'reply',
        channel: 'sms',
        validForMs: 300_000,
      },
    ])
    expect(await tryStart()).toEqual(OPTED_OUT)
  })

  it('start lets them come again', async () => {
    const { say, sent, tryStart } = listening()
    await say('STOP')
    await say('START')
    expect(sent.map(({ body }) => body)).toEqual([
      expect.stringContaining('opted out'),
      expect.stringContaining('opted in'),
    ])
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it('help is answered with the contact', async () => {
    const { say, sent } = listening()
    await say('help')
    expect(sent).toMatchObject([{ body: expect.stringContaining('help@example.com') }])
  })

  it('said again is heeded again and not answered again', async () => {
    const { say, sent, tryStart } = listening()
    await say('STOP')
    await say('START')
    await say('STOP')
    expect(sent).toHaveLength(2)
    expect(await tryStart()).toEqual(OPTED_OUT)
  })

  it('told twice by the provider, to two workers even, is answered once', async () => {
    const first = listening()
    const second = createInbound({
      suppressions: first.suppressions,
      replies: first.replies,
      send: async (message) => {
        first.sent.push(message)
        return { kind: 'accepted', messageId: 'm' }
      },
      objectionTo: () => undefined,
      brand: 'Example',
      contact: '',
      log: first.log,
      random: () => 0,
    })
    const message = { messageId: 'in', from: first.destination, to: OURS, text: 'STOP' }
    for (const inbound of [first, second, first, second]) inbound.take(message)
    await Promise.all([first.settled(), second.settled()])
    expect(first.sent).toHaveLength(1)
  })

  it('right after another is heeded after it', async () => {
    const { tell, settled, tryStart, suppressions } = listening()
    const heed = suppressions.heed
    suppressions.heed = async (message) => {
      if (message.keyword === 'stop') await new Promise((resolve) => setImmediate(resolve))
      return heed(message)
    }
    tell('STOP')
    tell('START')
    await settled()
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })
})

describe('no keyword', () => {
  it.each(['Thank you!', '710413', '', 'When does this end?'])(
    '%j changes nothing and is not answered',
    async (text) => {
      const { say, sent, tryStart } = listening()
      await say(text)
      expect(sent).toEqual([])
      expect(await tryStart()).toMatchObject({ kind: 'started' })
    },
  )
})

describe('a sender', () => {
  it.each(['12345', 'ACME', '', '+1202555', "+12025550123'"])('%j is not answered', async (from) => {
    const { say, sent } = listening()
    await say('HELP', { from })
    expect(sent).toEqual([])
  })

  it.each(['', 'ours', '+1:x:y', '1234'])('is not answered by %j, which is no number', async (to) => {
    const { say, sent } = listening()
    await say('HELP', { to })
    expect(sent).toEqual([])
  })

  it.each([
    ['of a country no code is sent to', '+447400123456'],
    ['with a premium-rate number', '+19002345678'],
  ])('%s is heeded and not answered, so that nobody earns by writing to us', async (_, from) => {
    const { say, sent, tryStart } = listening()
    await say('STOP', { from })
    expect(sent).toEqual([])
    expect(await tryStart(from as Destination)).toEqual(OPTED_OUT)
  })

  it('that writes to a short code of ours is answered by it', async () => {
    const { say, sent } = listening()
    await say('HELP', { to: '54321' })
    expect(sent).toMatchObject([{ from: '54321' }])
  })
})

describe('two robots', () => {
  it('that answer each other end after one answer', async () => {
    for (const word of ['STOP', 'START', 'HELP']) {
      const robot = listening()
      let answers = 0
      // Whatever it gets, it says its word again.
      const answerOf = async (): Promise<Outcome> => {
        answers += 1
        if (answers < 50) robot.tell(word)
        return { kind: 'accepted', messageId: 'm' }
      }
      const ours = listening(Array.from({ length: 50 }, () => answerOf))
      robot.tell = (text) => ours.tell(text, { from: robot.destination })
      ours.tell(word, { from: robot.destination })
      await vi.waitFor(async () => {
        await ours.settled()
        expect(ours.lines.filter(({ msg }) => msg === 'keyword heeded')).toHaveLength(2)
      })
      expect(answers).toBe(1)
      expect(ours.lines.at(-1)).toMatchObject({ result: 'silent' })
    }
  })

  it('of this kind fall silent at the first answer', async () => {
    const ours = listening()
    await ours.say('STOP')
    for (const { body } of ours.sent) expect(readKeyword(body)).toBe('none')
    const theirs = listening()
    await theirs.say(ours.sent[0]?.body ?? '')
    expect(theirs.sent).toEqual([])
  })
})

describe('an answer', () => {
  it('known not to have left is tried again until it has', async () => {
    const busy: Outcome = { kind: 'busy', reason: 'not_connected', retryAfterMs: 0 }
    const { say, sent } = listening([busy])
    await say('HELP')
    expect(sent).toHaveLength(2)
  })

  it('is given up after six attempts', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
    const { tell, sent, lines, suppressions, replies } = listening(Array.from({ length: 20 }, () => busy))
    suppressions.heed = async () => ({ kind: 'answer' })
    replies.take = async () => GO
    tell('HELP')
    await vi.advanceTimersByTimeAsync(600_000)
    expect(sent).toHaveLength(6)
    expect(lines.filter(({ msg }) => msg === 'answer')).toHaveLength(6)
  })

  it('waits for its number, as codes do, and for the answers before it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const { tell, sent, suppressions, replies } = listening()
    suppressions.heed = async () => ({ kind: 'answer' })
    const asked: number[] = []
    replies.take = async (reply) => {
      expect(reply).toEqual({ from: OURS, region: 'US', segments: 1, again: false })
      asked.push(performance.now())
      return asked.length < 4 ? WAIT : GO
    }
    tell('HELP')
    tell('STOP')
    await vi.advanceTimersByTimeAsync(749)
    expect([sent.length, asked.length]).toEqual([0, 3])
    await vi.advanceTimersByTimeAsync(1)
    expect([sent.length, asked.length]).toEqual([2, 5])
  })

  it('whose number is never free is given up after five minutes, and said to be', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const { tell, sent, suppressions, replies, lines } = listening()
    suppressions.heed = async () => ({ kind: 'answer' })
    replies.take = async () => WAIT
    tell('HELP')
    await vi.advanceTimersByTimeAsync(299_000)
    expect(lines.at(-1)).toMatchObject({ msg: 'keyword heeded' })
    await vi.advanceTimersByTimeAsync(2_000)
    expect(lines.at(-1)).toMatchObject({ level: 'warn', msg: 'answer', reason: 'not_sent_in_time' })
    expect(sent).toEqual([])
  })

  it('waits for Redis when that is away', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const { tell, sent, suppressions, replies } = listening()
    suppressions.heed = async () => ({ kind: 'answer' })
    let refusals = 2
    replies.take = async () => {
      if (refusals-- > 0) throw new StoreFault('Redis is away')
      return GO
    }
    tell('HELP')
    await vi.advanceTimersByTimeAsync(2_000)
    expect(sent).toHaveLength(1)
  })

  it.each([
    { kind: 'rejected', reason: 'refused_by_provider' },
    { kind: 'unknown', reason: 'timeout' },
  ] satisfies Outcome[])('that came to $kind is said and never tried again', async (outcome) => {
    const { say, sent, lines } = listening([outcome])
    await say('STOP')
    expect(sent).toHaveLength(1)
    expect(lines.at(-1)).toMatchObject({
      level: 'warn',
      msg: 'answer',
      outcome: outcome.kind,
      keyword: 'stop',
    })
  })

  it('has receipts that are looked up nowhere', async () => {
    vi.useFakeTimers()
    const { deliveries, log, lines } = listening()
    const receipts = createReceipts({ deliveries, forMs: 300_000, alarm: () => {}, log })
    receipts.take({ messageId: 'm', reference: 'reply', state: 'delivered' })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(lines).toEqual([])
  })
})

describe('what an API has heeded', () => {
  const heedElsewhere = (
    { suppressions, destination }: ReturnType<typeof listening>,
    keyword: 'stop' | 'help' = 'stop',
    to = destination,
  ) => suppressions.heed({ keyword, destination: to, sender: OURS, agoMs: 0, token: to, leave: true })

  it('is answered once, from the number it came to', async () => {
    const ours = listening()
    await heedElsewhere(ours)
    for (let n = 0; n < 2; n++) expect(await ours.answerLeft()).toBe('rest')
    await ours.settled()
    expect(ours.sent).toMatchObject([
      { from: OURS, to: ours.destination, body: expect.stringContaining('opted out') },
    ])
  })

  it('is answered only where codes are sent to', async () => {
    const ours = listening()
    await heedElsewhere(ours, 'help', '+447400123456' as Destination)
    await ours.answerLeft()
    await ours.settled()
    expect(ours.sent).toEqual([])
  })

  it('is looked for again and again, also after Redis was away', async () => {
    const ours = listening()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const take = ours.suppressions.takeUnanswered
    let looks = 0
    ours.suppressions.takeUnanswered = async (count) => {
      looks += 1
      if (looks === 1) throw new StoreFault('Redis is away')
      return take(count)
    }
    await heedElsewhere(ours)
    ours.start()
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(1_000)
      expect(ours.sent).toHaveLength(1)
    })
    expect(looks).toBeGreaterThan(1)
  })
})

describe('while sending is stopped', () => {
  /** So short that no test waits for it. */
  const policy = { stoppedRetryMs: 10 }

  async function stopped() {
    const ours = listening([], { policy })
    const sending = createStop(ours)
    await sending.stop('a test', Date.now())
    const heeded = (times: number) =>
      vi.waitFor(() => expect(ours.lines.filter(({ msg }) => msg === 'keyword heeded')).toHaveLength(times))
    return { ...ours, sending, heeded }
  }

  it('a STOP is heeded, and the confirmation does not leave', async () => {
    const { tell, sent, sending, heeded, stop, settled, lines, tryStart } = await stopped()
    tell('STOP')
    await heeded(1)
    stop()
    await settled()
    expect(sent).toEqual([])
    expect(lines.at(-1)).toMatchObject({ level: 'warn', msg: 'answer', reason: 'sending_stopped' })
    await sending.allow()
    expect(await tryStart()).toEqual(OPTED_OUT)
  })

  it('a START is heeded as well', async () => {
    const { tell, sending, heeded, suppressions, destination, tryStart } = await stopped()
    await suppressions.heed({ keyword: 'stop', destination, sender: OURS, agoMs: 60_000, token: 'before' })
    tell('START')
    await heeded(1)
    await sending.allow()
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it('an answer waits, and leaves when sending is allowed again in time', async () => {
    const { tell, sent, sending, heeded, settled } = await stopped()
    tell('STOP')
    tell('HELP')
    await heeded(2)
    expect(sent).toEqual([])
    await sending.allow()
    await settled()
    expect(sent).toHaveLength(2)
  })
})

describe('a budget of money', () => {
  const PRICE = 15_000
  const rule = (scope: Scope, counts: Counted, max: number, mode: Mode = 'block'): Rule => ({
    name: `${scope}_${counts}`,
    scope,
    counts,
    windowMs: 3_600_000,
    max,
    mode,
  })
  const budget = (scope: Scope, max: number, mode?: Mode) => rule(scope, 'spend', max, mode)
  const under = (...rules: Rule[]) => listening([], { policy: { rules } })
  const spent = { kind: 'refused', refusal: 'spend_limit' }

  it.each(['overall', 'region'] as const)(
    'that is spent (%s) keeps the answer back, and never the suppression',
    async (scope) => {
      const { say, sent, lines, tryStart } = under(budget(scope, PRICE - 1))
      await say('STOP')
      expect(sent).toEqual([])
      expect(lines.at(-1)).toMatchObject({
        level: 'warn',
        msg: 'answer',
        refusal: 'spend_limit',
        limit: `${scope}_spend`,
      })
      expect(await tryStart()).toEqual(OPTED_OUT)
    },
  )

  it.each(['overall', 'region'] as const)('is spent by answers as by codes (%s)', async (scope) => {
    const { say, sent, tryStart } = under(budget(scope, 2 * PRICE))
    await say('HELP')
    expect(await tryStart(freshDestination())).toMatchObject({ kind: 'started' })
    expect(await tryStart(freshDestination())).toMatchObject({ ...spent, limit: `${scope}_spend` })
    await say('HELP', { from: freshDestination() })
    expect(sent).toHaveLength(1)
  })

  it('of an application is not touched by answers, nor are limits of sends', async () => {
    const sends = rule('overall', 'sends', 1)
    const { say, sent, tryStart } = under(budget('application', PRICE), sends)
    await say('HELP')
    await say('HELP', { from: freshDestination() })
    expect(sent).toHaveLength(2)
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it.each([
    ['observe', 1],
    ['challenge', 0],
  ] as const)('in mode %s lets %i answers go', async (mode, answers) => {
    const { say, sent } = under(budget('overall', PRICE - 1, mode))
    await say('STOP')
    expect(sent).toHaveLength(answers)
  })

  it('that answers have nearly spent is told of, once', async () => {
    const { say, lines } = under(budget('overall', 5 * PRICE))
    for (let people = 0; people < 5; people++) await say('HELP', { from: freshDestination() })
    expect(lines.filter(({ msg }) => msg === 'a limit is nearly reached')).toMatchObject([
      { level: 'warn', limit: 'overall_spend' },
    ])
  })

  it('counts an answer once that is tried again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
    const { tell, sent, suppressions, replies } = listening([busy, busy])
    suppressions.heed = async () => ({ kind: 'answer' })
    const asked: boolean[] = []
    replies.take = async ({ again }) => {
      asked.push(again)
      return GO
    }
    tell('HELP')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent).toHaveLength(3)
    expect(asked).toEqual([false, true, true])
  })

  it('takes the price of an answer once, and an answer again at no price', async () => {
    const { replies, tryStart } = under(budget('overall', 2 * PRICE))
    const reply = { from: OURS, region: 'US', segments: 1 } as const
    expect(await replies.take({ ...reply, again: false })).toMatchObject({ kind: 'go' })
    for (let times = 0; times < 3; times++)
      expect(await replies.take({ ...reply, again: true })).toMatchObject({ kind: 'go' })
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })
})

it('a number that is denied is heeded and not answered', async () => {
  const { say, sent, tryStart } = listening([], { denied: ['+1202*'] })
  await say('STOP')
  expect(sent).toEqual([])
  expect(await tryStart()).toEqual(OPTED_OUT)
})

describe('while Redis is away', () => {
  const away = () => Promise.reject(new StoreFault('Redis is away'))

  it('a STOP waits and is heeded when it is back, before the START that came after it', async () => {
    const { tell, settled, suppressions, sent, tryStart } = listening()
    const heed = suppressions.heed
    suppressions.heed = away
    tell('STOP')
    tell('START')
    await new Promise((resolve) => setImmediate(resolve))
    suppressions.heed = heed
    await settled()
    expect(sent.map(({ body }) => /in|out/.exec(body.slice(22))?.[0])).toEqual(['out', 'in'])
    expect(await tryStart()).toMatchObject({ kind: 'started' })
  })

  it('a STOP whose answer from Redis was lost is still answered, once', async () => {
    const { say, suppressions, sent } = listening()
    const heed = suppressions.heed
    let lost = false
    suppressions.heed = async (message) => {
      const heeded = await heed(message)
      if (lost) return heeded
      lost = true
      throw new StoreFault('the answer was lost')
    }
    await say('STOP')
    expect(sent).toHaveLength(1)
  })

  it('a STOP is offered for an hour, and then said to be lost', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const { tell, suppressions, lines } = listening()
    let offers = 0
    suppressions.heed = () => {
      offers += 1
      return away()
    }
    tell('STOP')
    await vi.advanceTimersByTimeAsync(3_599_000)
    expect(lines.map(({ msg }) => msg)).toEqual(['message came in'])
    expect(offers).toBe(3_600)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(lines.at(-1)).toMatchObject({ level: 'error', msg: 'keyword lost', keyword: 'stop' })
  })

  it('what waits when the program stops is offered once more, then said to be lost', async () => {
    const { tell, settled, stop, suppressions, lines } = listening()
    suppressions.heed = away
    tell('STOP')
    tell('STOP')
    stop()
    await settled()
    expect(lines.filter(({ msg }) => msg === 'keyword lost')).toHaveLength(2)
  })

  it('beyond ten thousand the newest is dropped, and said to be', async () => {
    const { tell, stop, settled, suppressions, lines } = listening()
    suppressions.heed = away
    // One is being offered, ten thousand wait.
    for (let n = 0; n < 10_001; n++) tell('STOP')
    expect(lines.filter(({ msg }) => msg === 'keyword lost')).toEqual([])
    tell('STOP')
    expect(lines.at(-1)).toMatchObject({ msg: 'keyword lost', reason: 'too_many' })
    stop()
    await settled()
  })
})

it('no line holds the text or the whole number', async () => {
  const { say, lines, destination } = listening([{ kind: 'rejected', reason: 'refused_by_provider' }])
  await say('my code is 710413 and my secret is blue')
  await say('STOP. My name is Jane Roe')
  await say('HELP')
  const written = JSON.stringify(lines)
  expect(lines.length).toBeGreaterThan(5)
  for (const secret of ['710413', 'blue', 'Jane', destination.slice(1)]) expect(written).not.toContain(secret)
  expect(written).toContain(`+*******${destination.slice(-4)}`)
})
