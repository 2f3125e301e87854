/** One attempt as the worker makes it, with a provider that does as it is told and a real ledger. */
import { describe, expect, it } from 'vitest'
import type { Message, Provider } from '#providers/provider.ts'
import type { LogFields } from '#runtime/log.ts'
import { StoreFault } from '#store/script.ts'
import type { StartRequest } from '#store/verifications.ts'
import { silentLog, useRedis } from '#test/fixtures/redis.ts'
import { APPLICATION, freshDestination, storeOn } from '#test/fixtures/store.ts'
import type { Rule } from '#verification/gate.ts'
import type { Objection } from '#verification/objection.ts'
import type { Outcome } from '#verification/outcome.ts'
import type { Sender } from '#verification/sender.ts'
import { createDeliver } from '#worker/deliver.ts'

const connection = useRedis()
const signal = new AbortController().signal
const OVERALL_SPEND: Rule = {
  name: 'overall_spend_day',
  scope: 'overall',
  counts: 'spend',
  windowMs: 86_400_000,
  max: 0,
  mode: 'block',
}

const textOf = (message?: Message) => (message?.channel === 'sms' ? message.body : undefined)

type Reply = Outcome | ((message: Message) => Promise<Outcome>)

/** @param find what the provider's own log says, where it has one */
async function worker(
  replies: Reply[],
  overrides = {},
  find?: Provider['find'],
  request: Partial<StartRequest> = {},
  senders?: readonly Sender[],
) {
  const store = storeOn(connection.redis, overrides, undefined, undefined, senders)
  const sent: Message[] = []
  const lines: LogFields[] = []
  const warnings: [string, LogFields][] = []
  const errors: [string, LogFields][] = []
  /** How far the worker's clocks are ahead of what they would say. */
  const ahead = { monotonicMs: 0, wallMs: 0 }
  const provider: Provider = {
    name: 'fake',
    channels: ['sms', 'call'],
    status: () => 'ready',
    canSend: () => true,
    close: async () => {},
    ...(find && { find }),
    async send(message) {
      sent.push(message)
      const reply = replies.shift() ?? { kind: 'accepted', messageId: `m${sent.length}` }
      return typeof reply === 'function' ? reply(message) : reply
    },
  }
  const objection: { now?: Objection } = {}
  const deliverBy = ({ deliveries }: typeof store) =>
    createDeliver({
      deliveries,
      provider,
      policy: store.policy,
      objectionTo: () => objection.now,
      message: { brand: 'Example', domain: undefined, appHash: undefined, segmentsMax: 1 },
      log: {
        ...silentLog,
        info: (fields) => lines.push(fields),
        warn: (fields, message) => warnings.push([message, fields]),
        error: (fields, message) => errors.push([message, fields]),
      },
      random: () => 0,
      moment: () => ({
        monotonicMs: performance.now() + ahead.monotonicMs,
        wallMs: Date.now() + ahead.wallMs,
      }),
    })
  const deliver = deliverBy(store)
  const destination = freshDestination()
  const { id } = await store.start(destination, request)
  const send = { application: APPLICATION, verification: id, send: 1 }
  return {
    ...store,
    id,
    destination,
    send,
    sent,
    lines,
    warnings,
    errors,
    ahead,
    objection,
    deliver: (until = signal) => deliver(send, until),
    /** Another worker, on the same Redis, after the numbers were changed. */
    deliverFrom: (numbers: readonly Sender[]) =>
      deliverBy(storeOn(connection.redis, overrides, store, undefined, numbers))(send, signal),
  }
}

describe('an attempt', () => {
  it('hands the provider one message with the code, to the number, with a reference', async () => {
    const w = await worker([])
    const code = await w.codeFor(w.id)
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toEqual([
      {
        from: '+12025550199',
        to: w.destination,
        body: `${code} is your Example code. It is valid for 5 minutes. Do not share it.`,
        reference: `shop/${w.id}/1`,
        channel: 'sms',
        validForMs: expect.closeTo(240_000, -3),
      },
    ])
  })

  it('writes one log line without the code, the number or the text', async () => {
    const w = await worker([])
    const code = await w.codeFor(w.id)
    await w.deliver()
    expect(w.lines).toMatchObject([
      { verification: w.id, send: 1, attempt: 1, provider: 'fake', outcome: 'accepted' },
    ])
    expect(JSON.stringify(w.lines)).not.toContain(code)
    expect(JSON.stringify(w.lines)).not.toContain(w.destination.slice(1))
  })

  it.each([
    [
      { kind: 'rejected', reason: 'refused_by_provider' },
      { kind: 'closed', why: 'rejected' },
    ],
    [
      { kind: 'busy', reason: 'rate_limited' },
      { kind: 'again', waitMs: 500 },
    ],
    [
      { kind: 'busy', reason: 'rate_limited', retryAfterMs: 7_000 },
      { kind: 'again', waitMs: 7_000 },
    ],
    [
      { kind: 'unknown', reason: 'timeout' },
      { kind: 'again', waitMs: 10_000 },
    ],
  ] as [Outcome, object][])('that came to %j is told as %j', async (outcome, delivered) => {
    const w = await worker([outcome])
    expect(await w.deliver()).toEqual(delivered)
  })

  it('that was busy waits longer each time for the same reason, and no longer for others that came before', async () => {
    const limited: Outcome = { kind: 'busy', reason: 'rate_limited', retryAfterMs: 0 }
    const away: Outcome = { kind: 'busy', reason: 'not_connected' }
    const { retryAfterMs: _, ...slower } = limited
    const replies = [away, away, away, slower, slower, limited, slower, away]
    const w = await worker([...replies])
    const waits: number[] = []
    for (const _reply of replies) {
      const delivered = await w.deliver()
      waits.push(delivered.kind === 'again' ? delivered.waitMs : -1)
      // Its wait is over.
      await w.redis.hdel(w.keys.verification(APPLICATION, w.id), '1:retry')
    }
    expect(waits).toEqual([500, 1_000, 2_000, 500, 1_000, 500, 4_000, 500])
  })

  it('run twice at the same time sends once', async () => {
    const gate = Promise.withResolvers<Outcome>()
    const w = await worker([() => gate.promise])
    const first = w.deliver()
    await expect.poll(() => w.sent.length).toBe(1)
    expect(await w.deliver()).toMatchObject({ kind: 'again' })
    gate.resolve({ kind: 'accepted', messageId: 'm1' })
    expect(await first).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toHaveLength(1)
  })

  it('run again hours later sends nothing', async () => {
    const w = await worker([])
    await w.deliver()
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toHaveLength(1)
  })

  it.each(['approved', 'canceled'])('after the verification was %s sends nothing', async (end) => {
    const w = await worker([])
    if (end === 'approved') await w.check(w.id, await w.codeFor(w.id))
    else await w.verifications.cancel(APPLICATION, w.id)
    expect(await w.deliver()).toMatchObject({ kind: 'closed' })
    expect(w.sent).toHaveLength(0)
  })

  it('that was busy and has no time for another ends unsent, and says so', async () => {
    const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
    const w = await worker([busy], { codeTtlMs: 60_400, sendReserveMs: 60_000 })
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'expired' })
    expect(w.lines).toContainEqual(
      expect.objectContaining({ verification: w.id, send: 1, reason: 'not_sent_in_time' }),
    )
  })

  it('after the deadline sends nothing', async () => {
    const w = await worker([], { codeTtlMs: 60_000, sendReserveMs: 60_000 })
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'expired' })
    expect(w.sent).toHaveLength(0)
    const unsent = () => w.lines.filter(({ reason }) => reason === 'not_sent_in_time')
    expect(unsent()).toEqual([expect.objectContaining({ verification: w.id, send: 1 })])
    await w.deliver()
    expect(unsent()).toHaveLength(1)
  })

  it('that is unknown is followed by none where a budget has no room, and the log says which', async () => {
    const w = await worker([{ kind: 'unknown', reason: 'timeout' }], {
      receiptWaitMs: 0,
      rules: [{ ...OVERALL_SPEND, max: 29_999 }],
    })
    await w.deliver()
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'unknown' })
    expect(w.sent).toHaveLength(1)
    const refused = { ...w.send, refusal: 'spend_limit', limit: 'overall_spend_day' }
    expect(w.warnings).toEqual([['second message refused', refused]])
  })

  it('that is unknown and followed by one more says when a budget is nearly spent by it', async () => {
    const w = await worker([{ kind: 'unknown', reason: 'timeout' }], {
      receiptWaitMs: 0,
      rules: [{ ...OVERALL_SPEND, max: 30_000 }],
    })
    await w.deliver()
    expect(w.warnings).toEqual([])
    await w.deliver()
    expect(w.sent).toHaveLength(2)
    expect(w.warnings).toEqual([['a limit is nearly reached', { limit: 'overall_spend_day' }]])
  })

  it('that is unknown is followed by one more with the same code, and by no third', async () => {
    const lost: Outcome = { kind: 'unknown', reason: 'connection_lost' }
    const w = await worker([lost, lost, lost], { receiptWaitMs: 0 })
    expect(await w.deliver()).toMatchObject({ kind: 'again' })
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'unknown' })
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'unknown' })
    expect(w.sent).toHaveLength(2)
    expect(w.sent[0]).toMatchObject({ body: textOf(w.sent[1]) })
  })

  it('whose record Redis does not take at first is recorded when it does', async () => {
    const w = await worker([])
    const record = w.deliveries.record
    let refusals = 2
    w.deliveries.record = async (...given) => {
      if (refusals-- > 0) throw new StoreFault('Redis is away')
      return record(...given)
    }
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toHaveLength(1)
  })

  it('is recorded when Redis is back, however long after the lease, and nobody has sent a second one', async () => {
    const w = await worker([], { leaseMs: 100 })
    const record = w.deliveries.record
    let offers = 0
    w.deliveries.record = async (...given) => {
      if (++offers < 4) throw new StoreFault('Redis is away')
      // Another worker is there first, and has noticed that the lease is over.
      expect(await w.deliveries.claim(w.send, 'other')).toMatchObject({ kind: 'wait' })
      return record(...given)
    }
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect((await w.hash(w.id))['1:state']).toBe('accepted')
    expect(w.errors).toEqual([])
  })

  it('whose record Redis does not take while the code lives says so', async () => {
    const w = await worker([])
    let offers = 0
    w.deliveries.record = async () => {
      offers += 1
      w.ahead.monotonicMs += 99_000
      throw new StoreFault('Redis is away')
    }
    await expect(w.deliver()).rejects.toThrow(StoreFault)
    expect(offers).toBe(4)
    expect(w.errors).toEqual([
      [
        'outcome not recorded',
        {
          application: 'shop',
          verification: w.id,
          send: 1,
          attempt: 1,
          provider: 'fake',
          outcome: 'accepted',
          fault: 'StoreFault',
        },
      ],
    ])
  })

  it('whose record Redis does not take until the program must end says so in time', async () => {
    const w = await worker([])
    const cutOff = new AbortController()
    const offered = Promise.withResolvers<void>()
    let offers = 0
    w.deliveries.record = async () => {
      // By then a wait of 800 ms is next.
      if (++offers === 3) offered.resolve()
      throw new StoreFault('Redis is away')
    }
    const failed = expect(w.deliver(cutOff.signal)).rejects.toThrow(StoreFault)
    await offered.promise
    cutOff.abort()
    const abortedAt = performance.now()
    await failed
    expect(performance.now() - abortedAt).toBeLessThan(700)
    expect(offers).toBeGreaterThan(3)
    expect(w.errors).toMatchObject([['outcome not recorded', { outcome: 'accepted' }]])
  })

  it('that was accepted and then overtaken settles what the other one holds, as a receipt would', async () => {
    const gate = Promise.withResolvers<Outcome>()
    const w = await worker([() => gate.promise], { leaseMs: 100, receiptWaitMs: 0 })
    const frozen = w.deliver()
    await expect.poll(() => w.sent.length).toBe(1)
    await expect.poll(() => w.deliveries.claim(w.send, 'other')).toMatchObject({ kind: 'claimed' })
    const busy: Outcome = { kind: 'busy', reason: 'not_connected' }
    await w.deliveries.record(w.send, { token: 'other', outcome: busy, waitMs: 0 })
    gate.resolve({ kind: 'accepted', messageId: 'm1' })
    expect(await frozen).toEqual({ kind: 'closed', why: 'stale' })
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toHaveLength(1)
  })

  it('of a worker that was frozen and overtaken changes nothing', async () => {
    const gate = Promise.withResolvers<Outcome>()
    const w = await worker([() => gate.promise], { leaseMs: 600, receiptWaitMs: 0 })
    const frozen = w.deliver()
    await expect.poll(() => w.sent.length).toBe(1)
    await expect.poll(() => w.deliver(), { timeout: 3_000 }).toEqual({ kind: 'closed', why: 'accepted' })
    gate.resolve({ kind: 'rejected', reason: 'refused_by_provider' })
    expect(await frozen).toEqual({ kind: 'closed', why: 'stale' })
    expect((await w.hash(w.id))['1:state']).toBe('accepted')
  })

  it('frozen between its claim and the provider sends nothing, and gives the send back', async () => {
    const w = await worker([], { leaseMs: 300 })
    const claim = w.deliveries.claim
    w.deliveries.claim = async (...given) => {
      const claimed = await claim(...given)
      await new Promise((resolve) => setTimeout(resolve, 120))
      return claimed
    }
    expect(await w.deliver()).toEqual({ kind: 'again', waitMs: 500 })
    expect(w.sent).toHaveLength(0)
    expect(await w.hash(w.id)).toMatchObject({
      '1:state': 'queued',
      '1:submitted': '0',
      '1:reason': 'timeout',
    })
  })

  it.each(['monotonicMs', 'wallMs'] as const)(
    'is not made when only %s tells that its claim is old',
    async (clock) => {
      const w = await worker([])
      const claim = w.deliveries.claim
      w.deliveries.claim = async (...given) => {
        const claimed = await claim(...given)
        w.ahead[clock] += w.policy.leaseMs
        // The other one stands still, or was set back.
        w.ahead[clock === 'wallMs' ? 'monotonicMs' : 'wallMs'] -= 60_000
        return claimed
      }
      expect(await w.deliver()).toMatchObject({ kind: 'again' })
      expect(w.sent).toHaveLength(0)
      expect(await w.hash(w.id)).toMatchObject({ '1:state': 'queued', '1:submitted': '0' })
    },
  )

  it('whose claim’s answer was lost is made all the same, once', async () => {
    const w = await worker([])
    const claim = w.deliveries.claim
    let lost = false
    w.deliveries.claim = async (...given) => {
      const claimed = await claim(...given)
      if (lost) return claimed
      lost = true
      throw new StoreFault('the answer was lost')
    }
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toHaveLength(1)
    expect(await w.hash(w.id)).toMatchObject({ '1:submitted': '1', '1:attempts': '1' })
  })
})

describe('to a number that is not to be sent to any more', () => {
  it('nothing is sent; the send is suppressed, and says why', async () => {
    const w = await worker([])
    w.objection.now = 'number_denied'
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'suppressed' })
    expect(w.sent).toEqual([])
    expect(await w.hash(w.id)).toMatchObject({
      status: 'pending',
      '1:state': 'suppressed',
      '1:reason': 'number_denied',
      '1:submitted': '0',
    })
    expect(w.lines).toMatchObject([{ outcome: 'withheld', reason: 'number_denied' }])
    const view = await w.verifications.read(APPLICATION, w.id)
    expect(view?.sends[0]?.timeline).toMatchObject([{ outcome: 'withheld', reason: 'number_denied' }])
    expect(view?.sends[0]?.timeline[0]).not.toHaveProperty('provider')
  })

  it('no second message leaves, and the first stays unknown', async () => {
    const w = await worker([{ kind: 'unknown', reason: 'connection_lost' }], { receiptWaitMs: 0 })
    await w.deliver()
    w.objection.now = 'number_denied'
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'unknown' })
    expect(w.sent).toHaveLength(1)
    expect(await w.hash(w.id)).toMatchObject({ '1:state': 'unknown', '1:submitted': '1' })
  })

  it('a code that came before is still checked', async () => {
    const w = await worker([])
    const code = await w.codeFor(w.id)
    w.objection.now = 'number_denied'
    await w.deliver()
    expect(await w.check(w.id, code)).toMatchObject({ verdict: 'approved' })
  })
})

describe('before a second message', () => {
  const lost: Outcome = { kind: 'unknown', reason: 'connection_lost' }
  const found = { kind: 'found', messageId: 'm-earlier' } as const
  const viewOf = async (w: Awaited<ReturnType<typeof worker>>) =>
    (await w.verifications.read(APPLICATION, w.id))?.sends[0]

  it('the first is found in the provider’s log: accepted, and nothing is sent', async () => {
    const asked: { message: Message; sinceMs: number }[] = []
    const w = await worker([lost], { receiptWaitMs: 0 }, async (message, sinceMs) => {
      asked.push({ message, sinceMs })
      return found
    })
    const before = Date.now()
    await w.deliver()
    expect(asked).toEqual([])
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toHaveLength(1)
    expect(asked.map(({ message }) => message)).toMatchObject([
      { to: w.destination, body: textOf(w.sent[0]) },
    ])
    expect(Math.abs((asked[0]?.sinceMs ?? 0) - before)).toBeLessThan(1_000)
    expect(await viewOf(w)).toMatchObject({
      state: 'accepted',
      messageId: 'm-earlier',
      possibleDuplicate: false,
      timeline: [
        { outcome: 'unknown', reason: 'connection_lost' },
        { outcome: 'found', messageId: 'm-earlier' },
      ],
    })
    expect(w.lines.at(-1)).toMatchObject({ attempt: 2, outcome: 'found' })
    expect(await w.deliveries.findMessage('m-earlier')).toBe(`shop/${w.id}/1`)
  })

  it('the first is looked for under the number it went out from, whatever our numbers are now', async () => {
    const asked: string[] = []
    const w = await worker(
      [lost],
      { receiptWaitMs: 0 },
      async ({ from }) => {
        asked.push(from)
        return 'absent'
      },
      {},
      [{ number: '+12025550198', kind: '10dlc', perSecond: 100_000 }],
    )
    await w.deliver()
    await w.deliverFrom([{ number: '+12025550197', kind: '10dlc', perSecond: 100_000 }])
    expect(asked).toEqual(['+12025550198'])
    expect(w.sent.map(({ from }) => from)).toEqual(['+12025550198', '+12025550197'])
    expect(await viewOf(w)).toMatchObject({ timeline: [{ from: '+12025550198' }, { from: '+12025550197' }] })
  })

  it.each(['absent', 'unknowable'] as const)('a log that says %s lets it go', async (findings) => {
    const w = await worker([lost], { receiptWaitMs: 0 }, async () => findings)
    await w.deliver()
    expect(await w.deliver()).toEqual({ kind: 'closed', why: 'accepted' })
    expect(w.sent).toHaveLength(2)
    expect(await viewOf(w)).toMatchObject({ possibleDuplicate: true })
    expect(w.lines).toContainEqual(expect.objectContaining({ attempt: 2, result: findings }))
  })

  it('that was known not to be sent no log is asked', async () => {
    let asked = 0
    const w = await worker([{ kind: 'busy', reason: 'not_connected', retryAfterMs: 0 }], {}, async () => {
      asked += 1
      return found
    })
    await w.deliver()
    await expect.poll(() => w.deliver(), { timeout: 3_000 }).toMatchObject({ kind: 'closed' })
    expect(asked).toBe(0)
    expect(w.sent).toHaveLength(2)
  })

  it('a log that takes too long gives the attempt back, unsent', async () => {
    const w = await worker([lost], { receiptWaitMs: 0, leaseMs: 300 }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 120))
      return 'absent'
    })
    await w.deliver()
    expect(await w.deliver()).toMatchObject({ kind: 'again' })
    expect(w.sent).toHaveLength(1)
    expect(await viewOf(w)).toMatchObject({ state: 'unknown', possibleDuplicate: false })
  })
})

describe('a turn that goes to a code with longer to live', () => {
  const slow = [{ number: '+12025550199', kind: '10dlc', perSecond: 1 }] as const
  /** A worker asked about the older of two sends while one may leave. */
  async function crowd(replies: Reply[]) {
    const w = await worker(replies, {}, undefined, {}, slow)
    const wait = Date.now()
    await expect.poll(() => Date.now()).toBeGreaterThan(wait)
    const destination = freshDestination()
    const { id } = await w.start(destination)
    return { ...w, fresher: { id, destination, code: await w.codeFor(id) } }
  }

  it('hands over that one, records it, and looks at its own again when its turn comes', async () => {
    const w = await crowd([])
    const delivered = await w.deliver()
    expect(w.sent).toMatchObject([
      {
        to: w.fresher.destination,
        reference: `shop/${w.fresher.id}/1`,
        body: expect.stringContaining(w.fresher.code),
      },
    ])
    expect((await w.hash(w.fresher.id))['1:state']).toBe('accepted')
    expect((await w.hash(w.id))['1:state']).toBe('queued')
    expect(w.lines).toMatchObject([{ verification: w.fresher.id, attempt: 1, outcome: 'accepted' }])
    expect(delivered).toMatchObject({ kind: 'again' })
    const waitMs = delivered.kind === 'again' ? delivered.waitMs : 0
    expect(waitMs).toBeGreaterThan(500)
    expect(waitMs).toBeLessThanOrEqual(1_000)
  })

  it('looks again as soon as the one it handed over is to be tried again', async () => {
    const w = await crowd([{ kind: 'busy', reason: 'not_connected' }])
    const delivered = await w.deliver()
    expect(delivered).toMatchObject({ kind: 'again' })
    expect(delivered.kind === 'again' && delivered.waitMs).toBeLessThanOrEqual(500)
  })
})

it('a call is handed over as what it says, in the language that was asked for', async () => {
  const w = await worker([], {}, undefined, { channel: 'call', locale: 'de' })
  const code = await w.codeFor(w.id)
  await w.deliver()
  const [message] = w.sent
  expect(message).toMatchObject({ channel: 'call', to: w.destination, speech: { language: 'de-DE' } })
  expect(JSON.stringify(message)).toContain([...code].map((digit) => `${digit}.`).join(' '))
  expect(message).not.toHaveProperty('body')
  expect(JSON.stringify(w.lines)).not.toMatch(/\d\. \d/)
})
