/** Phone numbers: every vector file is a rule, its name says which, and each number in it is a case. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  maskDestination,
  parseDestination,
  parseRegion,
  parseReturnAddress,
  regionOf,
} from '#verification/destination.ts'

type Vectors = { regions: string[]; country?: string; expected: string; numbers: string[] }

const FOLDER = new URL('../vectors/destinations/', import.meta.url)

const rules = readdirSync(FOLDER).map((file) => ({
  rule: file.replace('.json', '').replaceAll('-', ' '),
  vectors: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Vectors,
}))

function read(text: string, { regions, country }: Pick<Vectors, 'regions' | 'country'>): string {
  const region = country === undefined ? undefined : parseRegion(country)
  const parsed = parseDestination(text, {
    regions: new Set(regions),
    ...(region === undefined ? {} : { country: region }),
  })
  return parsed.kind === 'refused' ? parsed.refusal : parsed.destination
}

describe.each(rules)('$rule', ({ vectors }) => {
  it.each(vectors.numbers)('%j', (number) => {
    expect(read(number, vectors)).toBe(vectors.expected === 'itself' ? number : vectors.expected)
  })
})

describe('a spelling', () => {
  const spelled = (length: number) => `+1${' '.repeat(length - 12)}2025550143`

  it.each([
    [31, '+12025550143'],
    [32, '+12025550143'],
    [33, 'invalid_number'],
  ])('of %i characters gives %s', (length, expected) => {
    expect(spelled(length)).toHaveLength(length)
    expect(read(spelled(length), { regions: ['US'] })).toBe(expected)
  })

  it.each([
    ['123456', 'short_number'],
    ['1234567', 'invalid_number'],
    ['12345678', 'invalid_number'],
  ])('of the digits %s is a %s', (digits, expected) => {
    expect(read(digits, { regions: ['US'], country: 'US' })).toBe(expected)
  })
})

it('one number is refused or not by the regions alone', () => {
  expect(read('+18762345678', { regions: ['US', 'CA'] })).toBe('region_not_allowed')
  expect(read('+18762345678', { regions: ['JM'] })).toBe('+18762345678')
})

it('a mask shows the last four digits and not even the calling code', () => {
  const parsed = parseDestination('+12025550143', { regions: new Set(['US']) })
  if (parsed.kind === 'refused') throw new Error(parsed.refusal)
  expect(maskDestination(parsed.destination)).toBe('+*******0143')
})

it.each([
  ['US', 'US'],
  ['us', undefined],
  ['USA', undefined],
  ['XX', undefined],
  ['', undefined],
  ['__proto__', undefined],
  ['constructor', undefined],
])('the region %j is read as %s', (text, expected) => {
  expect(parseRegion(text)).toBe(expected)
})

it.each([
  ['+12025550143', 'US'],
  ['+14162345678', 'CA'],
  ['12345', undefined],
  ['ACME', undefined],
])('our own number %j is of %s', (text, expected) => {
  expect(regionOf(text)).toBe(expected)
})

describe('for a call', () => {
  const forCall = (text: string, region: string) => {
    const parsed = parseDestination(text, { regions: new Set([region]), channel: 'call' })
    return parsed.kind === 'refused' ? parsed.refusal : parsed.destination
  }
  it.each([
    ['+442079460000', 'GB', '+442079460000'],
    ['+12025550143', 'US', '+12025550143'],
    ['+19002345678', 'US', 'premium_number'],
    ['+18002345678', 'US', 'toll_free_number'],
    ['+442079460000', 'US', 'region_not_allowed'],
  ])('%s in %s is %s', (text, region, expected) => {
    expect(forCall(text, region)).toBe(expected)
  })
})

it.each([
  ['+12025550143', '+12025550143'],
  ['12025550143', '+12025550143'],
  ['+447400123456', '+447400123456'],
  ['+19005550143', '+19005550143'],
  ['+999123456789', '+999123456789'],
])('a message from %s came from %s, whatever kind of line that is', (text, destination) => {
  expect(parseReturnAddress(text)).toBe(destination)
})

it.each(['+12025550143', '+447400123456', '+33612345678', '+5491123456789', '+525512345678'])(
  '%s is one number, started or written from',
  (number) => {
    const started = read(number, { regions: ['US', 'GB', 'FR', 'AR', 'MX'] })
    expect(parseReturnAddress(number)).toBe(started)
  },
)

it.each([
  '',
  '12345',
  '123456',
  'ACME',
  '+0123456789',
  '+1 202 555 0143',
  '+1202555014x',
  '+1234567890123456',
])('a message from %j came from no number we could have sent to', (text) => {
  expect(parseReturnAddress(text)).toBeUndefined()
})
