/** Who is paid: vectors whose file name is the rule. A name that reads as a link is no payee. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parsePayee } from '#verification/context.ts'

type Vectors = { expected: 'itself' | null; payees: string[] }

const FOLDER = new URL('../vectors/payees/', import.meta.url)
const rules = readdirSync(FOLDER).map((file) => ({
  rule: file.replace('.json', '').replaceAll('-', ' '),
  vectors: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Vectors,
}))
const taken = rules.filter(({ vectors }) => vectors.expected === 'itself')
const refused = rules.filter(({ vectors }) => vectors.expected === null)

describe.each(taken)('$rule:', ({ vectors }) => {
  it.each(vectors.payees)('%j is taken as it is spelled', (payee) => {
    expect(parsePayee(payee)).toBe(payee)
  })
})

describe.each(refused)('$rule:', ({ vectors }) => {
  it.each(vectors.payees)('%j is no payee', (payee) => {
    expect(parsePayee(payee)).toBeUndefined()
  })
})
