/** example.env against the parsers: every variable a program reads is explained there, and nothing else is. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readConfig as readAdmin } from '#admin/config.ts'
import { readConfig as readApi } from '#api/config.ts'
import { readConfig as readSandbox } from '#sandbox/config.ts'
import { readConfig as readWorker } from '#worker/config.ts'

const text = readFileSync(join(import.meta.dirname, '../../example.env'), 'utf8')

/** Names and the values they stand with; one that is commented out shows a default. */
const listed = new Map(
  [...text.matchAll(/^#?([A-Z][A-Z_0-9]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
)

/** Refused whatever it says, with what to write instead; so nobody needs to read of it. */
const NAMES_OF_BEFORE = ['DESTINATION_KEY']

/** The names a parser asks for when it is given nothing. */
function namesReadBy(read: (env: Record<string, string | undefined>) => unknown): Set<string> {
  const names = new Set<string>()
  const env = new Proxy<Record<string, string | undefined>>(
    {},
    {
      get(_, name) {
        if (typeof name === 'string') names.add(name.replace(/_FILE$/, ''))
        return undefined
      },
    },
  )
  read(env)
  return names
}

describe('example.env', () => {
  const programs = [readApi, readWorker, readSandbox, readAdmin]
  const read = new Set(programs.flatMap((program) => [...namesReadBy(program)]))

  it('explains every variable a program reads, and no other', () => {
    const taken = read.difference(new Set(NAMES_OF_BEFORE))
    expect([...listed.keys()].sort()).toEqual([...taken].sort())
  })

  it.each(NAMES_OF_BEFORE)('is silent of %s, which no program takes', (name) => {
    const refused = [expect.stringContaining(`${name}: is ${name}S now: write`)]
    for (const program of [readApi, readWorker]) {
      expect(program({ [name]: 'x' }).problems).toEqual(refused)
      expect(program({ [`${name}_FILE`]: '/nowhere' }).problems).toEqual(refused)
    }
  })

  it('shows defaults that the parsers take', () => {
    const shown = Object.fromEntries([...listed].filter(([, value]) => value !== '' && !value.endsWith(':')))
    delete shown.NODE_ENV
    expect(readApi(shown).problems).toEqual([])
    expect(readWorker(shown).problems).toEqual([])
  })

  it('shows the defaults that hold', () => {
    const shown = Object.fromEntries([...listed].filter(([, value]) => value !== '' && !value.endsWith(':')))
    expect(readApi(shown).config).toEqual(readApi({}).config)
    expect(readWorker(shown).config).toEqual(readWorker({}).config)
  })

  it('sets nothing by itself', () => {
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([])
  })
})
