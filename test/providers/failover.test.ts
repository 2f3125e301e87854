/** Several providers in an order: who is asked, who is not, and when one that was down is asked again. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createFailover, type FailoverOptions } from '#providers/failover.ts'
import type { Findings, Message, ProviderStatus, Road } from '#providers/provider.ts'
import type { Outcome } from '#verification/outcome.ts'
import { MESSAGE } from './relay-message.ts'

const accepted: Outcome = { kind: 'accepted', messageId: 'm' }
const down: Outcome = { kind: 'busy', reason: 'not_connected' }
const NO_ABORT = new AbortController().signal

type Fake = Road & {
  sent: Message[]
  reply: (signal: AbortSignal) => Promise<Outcome>
  shown: ProviderStatus
  readySince: number
}

function fake(name: string, outcome: Outcome = accepted): Fake {
  const provider: Fake = {
    name,
    channels: name === 'relay' ? ['sms'] : ['sms', 'call'],
    sent: [],
    shown: 'ready',
    readySince: 0,
    canSend: () => provider.shown === 'ready',
    readySinceMs: () => provider.readySince,
    reply: async () => outcome,
    status: () => provider.shown,
    async close() {
      provider.shown = 'closed'
    },
    async send(message, signal) {
      provider.sent.push(message)
      return provider.reply(signal)
    },
  }
  return provider
}

function two(first: Outcome, options: Partial<FailoverOptions> = {}) {
  const relay = fake('relay', first)
  const rest = fake('rest')
  const states: string[] = []
  const failover = createFailover({
    providers: [relay, rest],
    onBreaker: (provider, state) => states.push(`${provider} ${state}`),
    ...options,
  })
  return { relay, rest, states, failover, send: (signal = NO_ABORT) => failover.send(MESSAGE, signal) }
}

describe('the second is asked when the first came to', () => {
  test.each<[Outcome, 'rest' | 'relay']>([
    [down, 'rest'],
    [{ kind: 'busy', reason: 'credentials_refused' }, 'rest'],
    [{ kind: 'busy', reason: 'provider_fault' }, 'rest'],
    [{ kind: 'busy', reason: 'misconfigured' }, 'rest'],
    [{ kind: 'busy', reason: 'rate_limited' }, 'relay'],
    [{ kind: 'rejected', reason: 'account_blocked' }, 'relay'],
    [{ kind: 'rejected', reason: 'misconfigured' }, 'relay'],
    [{ kind: 'busy', reason: 'timeout' }, 'relay'],
    [{ kind: 'unknown', reason: 'timeout' }, 'relay'],
    [{ kind: 'unknown', reason: 'connection_lost' }, 'relay'],
    [{ kind: 'unknown', reason: 'no_message_id' }, 'relay'],
    [{ kind: 'rejected', reason: 'refused_by_provider' }, 'relay'],
    [accepted, 'relay'],
  ])('%j: the outcome is that of %s', async (first, whose) => {
    const { send, rest } = two(first)
    expect(await send()).toEqual({ ...(whose === 'rest' ? accepted : first), provider: whose })
    expect(rest.sent).toHaveLength(whose === 'rest' ? 1 : 0)
  })
})

describe('one that is not ready', () => {
  test.each<[ProviderStatus, string]>([
    ['connecting', 'not_connected'],
    ['unreachable', 'not_connected'],
    ['unauthorized', 'credentials_refused'],
  ])('but %s is passed over, is told as %s, and has not failed', async (shown, reason) => {
    const { send, relay, rest, states } = two(accepted, { failuresMax: 1 })
    relay.shown = shown
    expect(await send()).toEqual({ ...accepted, provider: 'rest' })
    rest.shown = shown
    expect(await send()).toEqual({ kind: 'busy', reason, provider: 'rest' })
    expect([relay.sent.length, rest.sent.length, states]).toEqual([0, 1, []])
  })
})

test('what the last one came to is told when nobody could send', async () => {
  const { send, rest } = two(down)
  rest.reply = async () => ({ kind: 'busy', reason: 'provider_fault', retryAfterMs: 3_000 })
  expect(await send()).toEqual({
    kind: 'busy',
    reason: 'provider_fault',
    retryAfterMs: 3_000,
    provider: 'rest',
  })
})

describe('a breaker', () => {
  test.each<Outcome>([down, { kind: 'unknown', reason: 'timeout' }])(
    'opens after so many of %j in a row, and its provider is left alone',
    async (failure) => {
      const { send, relay, rest, states } = two(failure, { failuresMax: 3, apartMs: 0 })
      for (let n = 0; n < 3; n++) await send()
      expect(states).toEqual(['relay open'])
      const before = rest.sent.length
      for (let n = 0; n < 5; n++) expect(await send()).toMatchObject({ provider: 'rest' })
      expect(relay.sent).toHaveLength(3)
      expect(rest.sent).toHaveLength(before + 5)
    },
  )

  test('counts all that failed at once as one, and opens when it goes on', async () => {
    const { send, relay, states } = two(
      { kind: 'unknown', reason: 'connection_lost' },
      { failuresMax: 2, apartMs: 80 },
    )
    await Promise.all(Array.from({ length: 20 }, () => send()))
    expect(states).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 100))
    await send()
    expect(states).toEqual(['relay open'])
    expect(relay.sent).toHaveLength(21)
  })

  test('that is open lets a message try at once when its provider has become ready anew', async () => {
    const { failover, send, relay, states } = two(down, { failuresMax: 1, openMs: 60_000 })
    const leftAlone = () => ['relay', 'rest'].filter(failover.leavesAlone)
    expect(leftAlone()).toEqual([])
    await send()
    expect(await send()).toEqual({ ...accepted, provider: 'rest' })
    expect(leftAlone()).toEqual(['relay'])
    relay.readySince = performance.now()
    expect(leftAlone()).toEqual([])
    relay.reply = async () => accepted
    expect(await send()).toEqual({ ...accepted, provider: 'relay' })
    expect(states).toEqual(['relay open', 'relay half_open', 'relay closed'])
  })

  test('does not open while successes come between', async () => {
    const { send, relay, states } = two(down, { failuresMax: 3, apartMs: 0 })
    const replies = [down, down, accepted, down, down, accepted]
    for (const reply of replies) {
      relay.reply = async () => reply
      await send()
    }
    expect(states).toEqual([])
  })

  test('does not open for refusals of a number, or for a rate', async () => {
    const { send, relay, states } = two({ kind: 'rejected', reason: 'opted_out' }, { failuresMax: 1 })
    await send()
    relay.reply = async () => ({ kind: 'busy', reason: 'rate_limited' })
    await send()
    expect(states).toEqual([])
  })

  test('half open lets one message try while the others go the other way, and closes when it goes through', async () => {
    const { send, relay, rest, states } = two(down, { failuresMax: 1, openMs: 50 })
    await send()
    await expect.poll(() => send().then(() => relay.sent.length), { interval: 10 }).toBe(2)
    const probe = Promise.withResolvers<Outcome>()
    relay.reply = () => probe.promise
    const probing: Promise<Outcome>[] = []
    await expect
      .poll(
        () => {
          probing.push(send())
          return relay.sent.length
        },
        { interval: 10 },
      )
      .toBe(3)
    const others = rest.sent.length
    expect(await send()).toEqual({ ...accepted, provider: 'rest' })
    expect(rest.sent).toHaveLength(others + 1)
    expect(relay.sent).toHaveLength(3)
    probe.resolve(accepted)
    expect(await probing.at(-1)).toEqual({ ...accepted, provider: 'relay' })
    relay.reply = async () => accepted
    expect(await send()).toEqual({ ...accepted, provider: 'relay' })
    const failed = ['relay open', 'relay half_open']
    expect(states).toEqual([...failed, ...failed, 'relay closed'])
  })

  test('of every provider open leaves the send unsent', async () => {
    const { send, rest } = two(down, { failuresMax: 1 })
    rest.reply = async () => down
    await send()
    expect(await send()).toEqual(down)
    expect(rest.sent).toHaveLength(1)
  })
})

describe('the time of a send', () => {
  test('is one for all: the second gets what the first has left', async () => {
    const { send, relay, rest } = two(down, { budgetMs: 900 })
    relay.reply = () => new Promise((resolve) => setTimeout(resolve, 200, down))
    rest.reply = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ kind: 'unknown', reason: 'timeout' }))
      })
    const startedAt = performance.now()
    expect(await send()).toEqual({ kind: 'unknown', reason: 'timeout', provider: 'rest' })
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  test('goes on while the host is suspended: what wakes then is not handed on', async () => {
    const { send, relay, rest } = two(down)
    // The monotonic clock stands still meanwhile.
    relay.reply = async () => {
      const wokenAt = Date.now() + 3_600_000
      const clock = vi.spyOn(Date, 'now').mockReturnValue(wokenAt)
      onTestFinished(() => clock.mockRestore())
      return down
    }
    expect(await send()).toEqual({ ...down, provider: 'relay' })
    expect(rest.sent).toHaveLength(0)
  })

  test('used up by the first leaves none for the second', async () => {
    const { send, relay, rest } = two(down, { budgetMs: 600 })
    relay.reply = () => new Promise((resolve) => setTimeout(resolve, 200, down))
    expect(await send()).toEqual({ ...down, provider: 'relay' })
    expect(rest.sent).toEqual([])
  })

  test('given up by the caller ends with the provider that has it', async () => {
    const { send, relay, rest } = two(down)
    const abort = new AbortController()
    relay.reply = async () => {
      abort.abort()
      return down
    }
    expect(await send(abort.signal)).toEqual({ ...down, provider: 'relay' })
    expect(rest.sent).toEqual([])
  })
})

describe('together', () => {
  test.each<[ProviderStatus, ProviderStatus, ProviderStatus]>([
    ['ready', 'ready', 'ready'],
    ['unreachable', 'ready', 'ready'],
    ['ready', 'unauthorized', 'ready'],
    ['connecting', 'unreachable', 'connecting'],
  ])('%s and %s are %s', (first, second, both) => {
    const { failover, relay, rest } = two(accepted)
    relay.shown = first
    rest.shown = second
    expect(failover.status()).toBe(both)
  })

  test('they can send while one of them is ready that its breaker lets try', async () => {
    const { failover, send, relay, rest } = two(down, { failuresMax: 1, openMs: 40 })
    expect(failover.canSend()).toBe(true)
    rest.shown = 'unreachable'
    await send()
    expect(failover.canSend()).toBe(false)
    rest.shown = 'ready'
    expect(failover.canSend()).toBe(true)
    rest.shown = 'unreachable'
    await expect.poll(() => failover.canSend(), { interval: 5 }).toBe(true)
    const probe = Promise.withResolvers<Outcome>()
    relay.reply = () => probe.promise
    const probing = send()
    expect(failover.canSend()).toBe(false)
    probe.resolve(accepted)
    await probing
    expect(failover.canSend()).toBe(true)
  })

  test('they are closed', async () => {
    const { failover } = two(accepted)
    await failover.close()
    expect(failover.status()).toBe('closed')
  })
})

describe('an earlier message is looked for', () => {
  const found = { kind: 'found', messageId: 'm' } as const
  test.each<[Findings | undefined, Findings | undefined, Findings]>([
    [undefined, undefined, 'unknowable'],
    [undefined, 'absent', 'absent'],
    [undefined, found, { ...found, provider: 'rest' }],
    ['absent', found, { ...found, provider: 'rest' }],
    [found, 'absent', { ...found, provider: 'relay' }],
    ['unknowable', 'absent', 'unknowable'],
    ['absent', 'unknowable', 'unknowable'],
  ])('in the logs %j and %j: %j', async (first, second, findings) => {
    const { failover, relay, rest } = two(accepted)
    if (first !== undefined) relay.find = async () => first
    if (second !== undefined) rest.find = async () => second
    expect(await failover.find?.(MESSAGE, 0, NO_ABORT)).toEqual(findings)
  })
})

describe('a call', () => {
  const call: Message = { ...MESSAGE, channel: 'call', speech: { language: 'en-US', parts: ['7. 3.'] } }

  test('goes only to who can call, and counts for nobody else’s breaker', async () => {
    const { failover, relay, rest, states } = two(accepted, { failuresMax: 1 })
    expect(await failover.send(call, NO_ABORT)).toEqual({ ...accepted, provider: 'rest' })
    expect(relay.sent).toEqual([])
    expect(rest.sent).toEqual([call])
    expect(states).toEqual([])
    expect(failover.channels).toEqual(['sms', 'call'])
  })

  test('that nobody here can make is left to another worker', async () => {
    const relay = fake('relay')
    const failover = createFailover({ providers: [relay] })
    expect(await failover.send(call, NO_ABORT)).toEqual({ kind: 'busy', reason: 'misconfigured' })
    expect(relay.sent).toEqual([])
  })
})
