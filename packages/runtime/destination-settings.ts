/** Where codes may go, as settings: the regions, and what is said about single numbers. */
import { parseRegion, type Region, regionOf } from '#verification/destination.ts'
import { type Lists, parseListed, parseTestNumber, type TestNumber } from '#verification/lists.ts'
import type { Sender } from '#verification/sender.ts'
import { type Kind, listOf, type Reader, toggle } from './env.ts'

const region: Kind<Region> = {
  expected: 'a two-letter country code such as US (ISO 3166-1)',
  parse: parseRegion,
}

/** US and CA share numbers, prices and rules: a number of one sends to both. */
const SHARED_REGIONS: Partial<Record<Region, readonly Region[]>> = { US: ['US', 'CA'], CA: ['CA', 'US'] }
const DEFAULT_COUNTRY: Region = 'US'

const listed: Kind<string> = {
  expected: 'an E.164 number such as +12025550123, or a prefix such as +1876*',
  parse: parseListed,
}

const testNumber: Kind<TestNumber> = {
  expected: 'NUMBER:CODE such as +15005550006:123456',
  parse: parseTestNumber,
}

/** A number whose code everybody in a team knows is a back door; in production it must be opened knowingly. */
export function readLists(reader: Reader): Lists {
  const tests = reader.secret('TEST_NUMBERS', listOf(testNumber), [])
  const wanted = reader.value('TEST_NUMBERS_IN_PRODUCTION', toggle, false)
  if (reader.production && tests.length > 0 && !wanted) {
    reader.problem('TEST_NUMBERS', 'is refused in production unless TEST_NUMBERS_IN_PRODUCTION=on')
  }
  return {
    allowed: reader.secret('ALLOWED_NUMBERS', listOf(listed), []),
    denied: reader.secret('DENIED_NUMBERS', listOf(listed), []),
    tests,
  }
}

/** `country`: how a number without `+` is read where nobody names one: in the country of our first number that has one. */
export function readRegions(
  reader: Reader,
  senders: readonly Sender[],
): { regions: ReadonlySet<Region>; country: Region } {
  const [home] = senders.map(({ number }) => regionOf(number)).filter((region) => region !== undefined)
  const country = home ?? DEFAULT_COUNTRY
  const regions = reader.value('ALLOWED_REGIONS', listOf(region), [...(SHARED_REGIONS[country] ?? [country])])
  return { regions: new Set(regions), country }
}
