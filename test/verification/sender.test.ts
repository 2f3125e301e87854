/** Our numbers: what each is and how fast, and which of them writes to whom. */
import { describe, expect, it } from 'vitest'
import { chooseSender, parseSender, type Sender } from '#verification/sender.ts'

const senderOf = (text: string): Sender => {
  const sender = parseSender(text)
  if (!sender) throw new Error(`${text} is no sender`)
  return sender
}

describe('a number of ours', () => {
  it.each([
    ['+12025550199', '10dlc', 4],
    ['+18005550123', 'toll-free', 3],
    ['+18885550123', 'toll-free', 3],
    ['+14162345678', 'canadian', 1],
    ['12345', 'short-code', 10],
    ['123456', 'short-code', 10],
    ['+447400123456', '10dlc', 4],
    ['+12025550100:10dlc', '10dlc', 4],
    ['+12025550100:toll-free', 'toll-free', 3],
    ['+12025550100:canadian', 'canadian', 1],
    ['12345:short-code', 'short-code', 10],
    ['+12025550101:6', '10dlc', 6],
    ['+18005550123:100', 'toll-free', 100],
    ['12345:0.5', 'short-code', 0.5],
    ['+12025550101:100000', '10dlc', 100_000],
  ])('%s is %s, with %d segments a second', (text, kind, perSecond) => {
    expect(parseSender(text)).toEqual({ number: text.split(':')[0], kind, perSecond })
  })

  it.each([
    '2025550199',
    '1234',
    '1234567',
    '+02025550199',
    '+1 202 555 0199',
    '+12025550199:',
    '+12025550199:0',
    '+12025550199:0.001',
    '+12025550199:-4',
    '+12025550199:1e3',
    '+12025550199:100001',
    '+12025550199:fast',
    '+12025550199:toString',
    '+12025550199:10dlc:6',
    '+12025550199:short-code',
    '12345:10dlc',
    '',
  ])('is not %j', (text) => {
    expect(parseSender(text)).toBeUndefined()
  })

  it.each([
    ['+12025550199', 9],
    ['+18005550123:toll-free', 9],
    ['12345:2', 2],
  ])('%s has the rate of all of them unless it states its own', (text, perSecond) => {
    expect(parseSender(text, 9)).toMatchObject({ perSecond })
  })
})

/** As the vault makes them: base64url, as good as random. */
const tags = Array.from({ length: 20_000 }, (_, index) =>
  Buffer.from(`${index}`.repeat(8)).toString('base64url').slice(0, 22),
)
const local = senderOf('+12025550199')
const tollFree = senderOf('+18005550123')
const short = senderOf('12345')

const shareOf = (senders: readonly Sender[], sender: Sender) =>
  tags.filter((tag) => chooseSender(senders, tag, 'sms') === sender).length / tags.length

describe('the sender of a destination', () => {
  it('is the same in whatever order the numbers stand', () => {
    for (const tag of tags.slice(0, 1_000)) {
      const chosen = chooseSender([local, tollFree, short], tag, 'sms')
      expect(chooseSender([short, local, tollFree], tag, 'sms')).toBe(chosen)
    }
  })

  it('is each number as often as it is fast', () => {
    const senders = [local, tollFree, short]
    expect(shareOf(senders, local)).toBeCloseTo(4 / 17, 2)
    expect(shareOf(senders, tollFree)).toBeCloseTo(3 / 17, 2)
    expect(shareOf(senders, short)).toBeCloseTo(10 / 17, 2)
  })

  it('changes only to the number that was added, and only for its share', () => {
    let moved = 0
    for (const tag of tags) {
      const before = chooseSender([local, tollFree], tag, 'sms')
      const after = chooseSender([local, tollFree, short], tag, 'sms')
      if (after === before) continue
      expect(after).toBe(short)
      moved += 1
    }
    expect(moved / tags.length).toBeCloseTo(10 / 17, 2)
  })

  it('changes only where the number that was taken away had been', () => {
    for (const tag of tags) {
      const before = chooseSender([local, tollFree, short], tag, 'sms')
      if (before !== short) expect(chooseSender([local, tollFree], tag, 'sms')).toBe(before)
    }
  })

  it('of a call is never a short code, unless there is nothing else', () => {
    for (const tag of tags) expect(chooseSender([local, short], tag, 'call')).toBe(local)
    expect(chooseSender([short], tags[0] ?? '', 'call')).toBe(short)
  })

  it('needs a number', () => {
    expect(() => chooseSender([], 'tag', 'sms')).toThrow('no number')
  })
})
