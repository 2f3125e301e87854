/** The proof of work: what it takes to pass, for which start and how long, and that nothing in a token can be changed. */
import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { solve, unsolved } from '#test/fixtures/solve.ts'
import { type ChallengeScope, createChallenges } from '#verification/challenge.ts'
import { createTags } from '#verification/tags.ts'
import type { Application } from '#verification/verification.ts'

const NOW = 1_795_000_000_000
const LIFE = 120_000
const BITS = 10
const secret = randomBytes(32)
const tags = createTags(secret)
const challenges = createChallenges(() => tags)
const scope: ChallengeScope = {
  application: 'shop' as Application,
  destinationTag: 'tag-of-a-number',
  network: '203.0.113.9',
}

function solved(more: { bits?: number; scope?: ChallengeScope } = {}) {
  const challenge = challenges.issue({ ...(more.scope ?? scope), bits: more.bits ?? BITS, nowMs: NOW })
  return { challenge, token: challenge.token, solution: solve(challenge) }
}

const verify = (token: string, solution: string, about = scope, nowMs = NOW) =>
  challenges.verify(token, solution, { ...about, nowMs })
const reasonOf = (verdict: ReturnType<typeof verify>) =>
  verdict.kind === 'failed' ? verdict.reason : 'passed'

describe('a challenge', () => {
  it('is v1, its end, its bits, a nonce and a signature, and lives two minutes', () => {
    const { challenge } = solved()
    const [version, expires, bits, nonce, signature, ...rest] = challenge.token.split('.')
    expect([version, expires, bits, rest]).toEqual(['v1', String(NOW + LIFE), String(BITS), []])
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{16}$/)
    expect(signature).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(challenge).toMatchObject({ bits: BITS, expiresAtMs: NOW + LIFE })
  })

  it('solved is passed, and names what the store must remember', () => {
    const { token, solution } = solved()
    expect(verify(token, solution)).toEqual({
      kind: 'passed',
      challenge: { nonce: token.split('.')[3], expiresAtMs: NOW + LIFE },
    })
  })

  it('says nothing of the number or the network it is for', () => {
    const { token } = solved()
    expect(token).not.toMatch(/tag-of|203\.0\.113|shop/)
  })

  it('is never given out twice', () => {
    const nonces = Array.from(
      { length: 10_000 },
      () => challenges.issue({ ...scope, bits: BITS, nowMs: NOW }).token.split('.')[3],
    )
    expect(new Set(nonces).size).toBe(10_000)
  })

  it('is signed by a key of its own, derived from the one numbers are counted under', () => {
    const { token } = solved()
    const [, expires = '', bits = '', nonce = '', signature] = token.split('.')
    const key = Buffer.from(hkdfSync('sha256', secret, '', 'sms-two-factor-auth challenge', 32))
    const parts = ['v1', expires, bits, nonce, 'shop', 'tag-of-a-number', '203.0.113.9']
    expect(createHmac('sha256', key).update(parts.join('\0')).digest('base64url')).toBe(signature)
  })

  it.each([10, 11, 12])('of %i bits takes that many and no fewer', (bits) => {
    const { challenge, token, solution } = solved({ bits })
    expect(verify(token, solution).kind).toBe('passed')
    expect(reasonOf(verify(token, unsolved(challenge)))).toBe('unsolved')
    // One bit short, which a looser comparison would take.
    const short = solve({ token, bits: bits - 1 })
    if (short !== solution) expect(reasonOf(verify(token, short))).toBe('unsolved')
  })
})

describe('its time', () => {
  it.each([
    [LIFE - 1, 'passed'],
    [LIFE, 'expired'],
    [LIFE + 1, 'expired'],
  ])('after %i ms: %s', (afterMs, expected) => {
    const { token, solution } = solved()
    expect(reasonOf(verify(token, solution, scope, NOW + afterMs))).toBe(expected)
  })
})

describe('it is foreign to', () => {
  it.each<[string, Partial<ChallengeScope>]>([
    ['another number', { destinationTag: 'tag-of-another' }],
    ['another network', { network: '203.0.113.10' }],
    ['no known network', { network: '' }],
    ['another application', { application: 'bank' as Application }],
    [
      'a scope whose parts are cut elsewhere',
      { destinationTag: 'tag-of-a-number\u0000203.0.113.9', network: '' },
    ],
  ])('%s', (_, other) => {
    const { token, solution } = solved()
    expect(reasonOf(verify(token, solution, { ...scope, ...other }))).toBe('foreign')
  })

  it('another secret', () => {
    const { token, solution } = solved()
    const verdict = createChallenges(() => createTags(randomBytes(32))).verify(token, solution, {
      ...scope,
      nowMs: NOW,
    })
    expect(reasonOf(verdict)).toBe('foreign')
  })
})

describe('a token with one part changed is not ours', () => {
  const replaced = (token: string, index: number, part: string) =>
    token
      .split('.')
      .map((old, at) => (at === index ? part : old))
      .join('.')

  it.each([
    ['version', 0, 'v2', 'malformed'],
    ['a later end', 1, String(NOW + LIFE + 1), 'foreign'],
    ['fewer bits', 2, '01', 'foreign'],
    ['no bits', 2, '00', 'foreign'],
    ['another nonce', 3, 'A'.repeat(16), 'foreign'],
    ['another signature', 4, 'A'.repeat(43), 'foreign'],
  ])('%s', (_, index, part, reason) => {
    const token = replaced(solved().token, index, part)
    expect(reasonOf(verify(token, solve({ token, bits: BITS })))).toBe(reason)
  })

  it('whichever of its characters is changed', () => {
    const { token } = solved()
    for (let at = 0; at < token.length; at += 1) {
      const sign = token[at] === '1' ? '2' : '1'
      const spoiled = `${token.slice(0, at)}${sign}${token.slice(at + 1)}`
      expect(reasonOf(verify(spoiled, '0')), spoiled).toMatch(/malformed|foreign/)
    }
  })

  it('also in the last character of the signature, whose spare bits another spelling could use', () => {
    const { token, solution } = solved()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const spellings = [...alphabet].map((sign) => `${token.slice(0, -1)}${sign}`)
    const passing = spellings.filter((spelling) => reasonOf(verify(spelling, solution)) !== 'foreign')
    expect(passing).toEqual([token])
  })

  it.each(['', 'v1', 'v1....', 'v1.1.1.1.1', ' ', '.'.repeat(10_000), 'v1.'.repeat(1_000)])(
    'nor is %j one at all',
    (token) => {
      expect(reasonOf(verify(token, '0'))).toBe('malformed')
    },
  )

  it('nor is one with something before or after it', () => {
    const { token, solution } = solved()
    for (const text of [` ${token}`, `${token} `, `${token}\n`, `${token}.`, `${token}=`]) {
      expect(reasonOf(verify(text, solution))).toBe('malformed')
    }
  })
})

describe('a solution', () => {
  it.each([
    '',
    ' 1',
    '+1',
    '-1',
    '01',
    '1.0',
    '1e3',
    '0x1',
    'NaN',
    '1\n',
    '１',
    '12345678901234567',
    'constructor',
  ])('is a plain decimal counter: %j is none', (solution) => {
    expect(reasonOf(verify(solved().token, solution))).toBe('malformed')
  })
})
