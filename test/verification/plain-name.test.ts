/** Names that may stand in a message: nothing that costs two, that the alphabet lacks, or that leaves a gap. */
import { expect, it } from 'vitest'
import { isPlainName } from '#verification/plain-name.ts'
import { segmentsOf } from '#verification/segments.ts'

it('every character a name may have costs one septet', () => {
  const admitted = Array.from({ length: 0x1_0000 }, (_, unit) => String.fromCharCode(unit)).filter((unit) =>
    isPlainName(`a${unit}a`),
  )
  expect(admitted.length).toBeGreaterThan(60)
  const sizes = new Set(admitted.map((unit) => JSON.stringify(segmentsOf(unit))))
  expect([...sizes]).toEqual(['{"encoding":"gsm7","units":1,"segments":1}'])
})

it.each([
  ['', false],
  ['A', true],
  ['A'.repeat(29), true],
  ['A'.repeat(30), true],
  ['A'.repeat(31), false],
  ['Müller', false],
  ['Acme {test}', false],
  ['Acme\n', false],
  ['Acme\nBank', false],
  [' Acme', false],
  ['Acme ', false],
  [' ', false],
  ['Acme  Bank', false],
  ['Acme Bank', true],
  ['@acme', false],
  ['A @ B', true],
  ["Joe's Pizza & Co.", true],
  ['SQ *COFFEE #12', true],
])('the name %j is admitted: %s', (name, expected) => {
  expect(isPlainName(name)).toBe(expected)
})
