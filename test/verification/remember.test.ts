/** A bounded memory: what it gives back, what it forgets, and that it never answers for another name. */
import { describe, expect, it } from 'vitest'
import { createMemory, remember } from '#verification/remember.ts'

describe('a memory', () => {
  it.each([
    [1, undefined],
    [2, 'a'],
    [3, 'a'],
  ])('of %i gives the first of two names back as %s', (max, first) => {
    const memory = createMemory<string>(max)
    memory.set('first', 'a')
    memory.set('second', 'b')
    expect([memory.get('first'), memory.get('second'), memory.get('third')]).toEqual([first, 'b', undefined])
  })
})

describe('a function that remembers', () => {
  it('is asked once for each text while it is remembered', () => {
    const asked: string[] = []
    const read = remember(2, (text) => {
      asked.push(text)
      return text.toUpperCase()
    })
    expect([read('a'), read('a'), read('b'), read('c'), read('a')]).toEqual(['A', 'A', 'B', 'C', 'A'])
    expect(asked).toEqual(['a', 'b', 'c', 'a'])
  })
})
