/** What solves a proof of work: the page's own script as a worker, and the example callers copy from README.md. */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { SCRIPT } from '#api/page-challenge.ts'
import { solve } from '#test/fixtures/solve.ts'

type News = { tries?: number; solution?: string }

/** The script where there is no document: in a worker. */
function work(token: string, bits: number): News[] {
  const news: News[] = []
  const self: { onmessage?: (event: { data: { token: string; bits: number } }) => void } = {}
  runInContext(
    SCRIPT,
    createContext({ self: Object.assign(self, { postMessage: (one: News) => news.push(one) }) }),
  )
  self.onmessage?.({ data: { token, bits } })
  return news
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')

describe('the worker', () => {
  it('finds the first counter there is', () => {
    const token = `v1.1795000000000.10.${randomBytes(12).toString('base64url')}.${randomBytes(32).toString('base64url')}`
    expect(work(token, 10)).toEqual([{ solution: solve({ token, bits: 10 }) }])
  })

  /** Around every edge of SHA-256's blocks, where its padding changes; some with counters that grow across one. */
  it.each(Array.from({ length: 140 }, (_, length) => length))(
    'hashes a token of %i characters right',
    (length) => {
      const token = 't'.repeat(length)
      const solution = work(token, 9).at(-1)?.solution ?? ''
      expect(hashOf(`${token}.${solution}`)).toMatch(/^00[0-7]/)
      expect(solution).toBe(solve({ token, bits: 9 }))
    },
  )

  it('says now and then how many it has tried', () => {
    const token = Array.from({ length: 1_000 }, (_, at) => `token-${at}`).find(
      (candidate) => Number(solve({ token: candidate, bits: 15 })) > 40_000,
    )
    const news = work(token ?? '', 15)
    expect(news.slice(0, 2)).toEqual([{ tries: 16_384 }, { tries: 32_768 }])
    expect(news.at(-1)).toEqual({ solution: solve({ token: token ?? '', bits: 15 }) })
  })
})

it('the example of README.md solves one', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const [, example = ''] = /```js\n([\s\S]*?)```/.exec(readme) ?? []
  expect(example.split('\n').length).toBeLessThanOrEqual(16)
  const module = await import(`data:text/javascript,${encodeURIComponent(example)}`)
  expect(module.solve({ token: 'token', bits: 10 })).toEqual({
    token: 'token',
    solution: solve({ token: 'token', bits: 10 }),
  })
})
