/** The documents against the code: what a table, a link or a command in them says is so. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readConfig } from '#api/config.ts'
import { PROBLEMS } from '#api/problem.ts'
import { SCENARIOS } from '#sandbox/scenarios.ts'
import type { Code } from '#verification/code.ts'
import { EVENT_TYPES } from '#verification/event.ts'
import { DEFAULT_GUESS_RULES, DEFAULT_RULES, formatRule } from '#verification/gate.ts'
import { LOCALES, messageText } from '#verification/message.ts'
import { DEFAULT_POLICY } from '#verification/policy.ts'
import { parseSender } from '#verification/sender.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT })
const documentRows = documents.map((file) => [file, read(file)] as const)
const readme = read('README.md')
const architecture = read('ARCHITECTURE.md')
const runbook = read('docs/runbook.md')
const manifest: Record<'scripts' | 'dependencies' | 'devDependencies', Record<string, string>> = JSON.parse(
  read('package.json'),
)

/** Everything `pattern` captures first, in order. */
const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found = '']) => found)

/** The cells of the table under a row of these headings, without the marks of code. */
function table(text: string, ...headings: string[]): string[][] {
  const lines = text.split('\n')
  const first = lines.indexOf(`| ${headings.join(' | ')} |`) + 2
  const length = lines.slice(first).findIndex((line) => !line.startsWith('|'))
  return lines.slice(first, first + length).map((line) =>
    line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.replaceAll('`', '')),
  )
}

/** The literals of a union type, as its file spells them. */
function union(file: string, type: string): string[] {
  const body = new RegExp(`export type ${type} =([\\s\\S]*?)\\n\\n`).exec(read(file))?.[1] ?? ''
  return all(body, /'(\w+)'/g)
}

/** The anchors GitHub gives the headings of a document. */
function anchors(file: string): string[] {
  const headings = all(readFileSync(file, 'utf8'), /^#+ (.+)$/gm)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe.each(documentRows)('%s', (file, text) => {
  it('links only to what is there', () => {
    const links = all(text, /\]\(([^)\s]+)\)/g).filter((link) => !/^[a-z]+:/.test(link))
    for (const link of links) {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? join(ROOT, file) : join(ROOT, dirname(file), path)
      expect(existsSync(target), link).toBe(true)
      if (anchor !== undefined) expect(anchors(target), link).toContain(anchor)
    }
  })

  it('names only files that are there', () => {
    const paths = all(text, /`((?:apps|packages|test|docs)\/[\w./-]+)`/g).filter(
      (path) => !/NAME|VERB/.test(path),
    )
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  it('names only scripts of package.json', () => {
    const scripts = [...all(text, /\bnpm run ([\w-]+)/g), ...all(text, /\bnpm (start|test)\b/g)]
    expect(scripts.filter((name) => manifest.scripts[name] === undefined)).toEqual([])
  })

  it('has lines of at most 120 characters, but for rows of a table, which cannot be broken', () => {
    expect(text.split('\n').filter((line) => line.length > 120 && !line.startsWith('| '))).toEqual([])
  })
})

describe('README.md', () => {
  it('lists the destinations of the sandbox as they are', () => {
    const scenarios = SCENARIOS.map(({ ending, story }) => [ending, story])
    expect(table(readme, 'Ending', 'What happens')).toEqual(scenarios)
  })

  it('shows the message of every language as it is', () => {
    const style = { brand: 'Acme', domain: undefined, appHash: undefined, segmentsMax: 1, ttlMs: 300_000 }
    const code = '123456' as Code
    const messages = LOCALES.map((locale) => [locale, messageText({ ...style, locale, code })])
    expect(table(readme, 'Locale', 'Message')).toEqual(messages)
  })

  it('lists the types of events as they are', () => {
    expect(table(readme, 'Type', 'Told when').map(([type]) => type)).toEqual(EVENT_TYPES)
  })

  it('lists the problem codes as they are', () => {
    const problems = Object.entries(PROBLEMS).map(([code, [status, title]]) => [code, String(status), title])
    expect(table(readme, 'Code', 'Status', 'Title')).toEqual(problems)
  })

  it('shows numbers of every kind as they are read', () => {
    const shown = table(readme, 'Number', 'Kind', 'Segments a second')
    const read = shown.map(([number = '']) => parseSender(number))
    expect(shown.map(([, , rate]) => Number(rate))).toEqual(read.map((sender) => sender?.perSecond))
    expect(new Set(read.map((sender) => sender?.kind)).size).toBe(4)
    for (const [index, [, kind]] of shown.slice(0, 4).entries())
      expect(kind?.split(':')[0]).toBe(read[index]?.kind)
  })

  it('lists the rules of the gate, and of guessing, as they are', () => {
    const named = all(readme, /^\| `([a-z_0-9]+)` \| [^|]+ \| [^|]+ \| `[^`|]+` \|$/gm)
    const defaults = all(readme, /^\| `[a-z_0-9]+` \| [^|]+ \| [^|]+ \| `([^`|]+)` \|$/gm)
    const rules = [...DEFAULT_RULES, ...DEFAULT_GUESS_RULES]
    expect(named).toEqual(rules.map(({ name }) => name))
    expect(defaults).toEqual(rules.map(formatRule))
  })

  it('lists the limits of a number, their defaults and their bounds as they are', () => {
    const rows = table(readme, 'Setting', 'Named in refusals', 'What', 'Default', 'Bounds')
    const limits = [...DEFAULT_POLICY.sendLimits, ...DEFAULT_POLICY.wrongCheckLimits]
    expect(rows.map(([, name]) => name)).toEqual(expect.arrayContaining(limits.map(({ name }) => name)))
    for (const [setting = '', , , value = '', bounds = ''] of rows) {
      const problemsOf = (text: number | string) => readConfig({ [setting]: String(text) }).problems
      expect(readConfig({ [setting]: value })).toEqual(readConfig({}))
      const [, least = 0, most = 0] = (/(\d+) to (\d+)$/.exec(bounds) ?? []).map(Number)
      expect([problemsOf(least), problemsOf(least - 1).length]).toEqual([[], 1])
      if (setting !== 'RESEND_WAITS_SECONDS') expect(problemsOf(most)).toEqual([])
      expect(problemsOf(most + 1)).toHaveLength(1)
    }
  })

  it.each(['README.md', 'SECURITY.md', 'docs/runbook.md'])(
    'and %s name only variables of example.env',
    (file) => {
      const known = new Set(all(read('example.env'), /^#?([A-Z][A-Z_0-9]+)=/gm))
      const named = [
        ...all(read(file), /\b([A-Z]+(?:_[A-Z0-9]+)+)\b/g),
        ...all(read(file), /\b([A-Z]{4,})=/g),
      ]
      expect(named.length).toBeGreaterThan(5)
      expect(named.map((name) => name.replace(/_FILE$/, '')).filter((name) => !known.has(name))).toEqual([])
    },
  )
})

describe('ARCHITECTURE.md', () => {
  const arrows = [
    ...read('test/house/arrows.test.ts').matchAll(/'((?:apps|packages)\/\w+)': \[([^\]]*)\]/g),
  ].map(([, room = '', allowed = '']) => [room, all(allowed, /'([^']+)'/g).join(' ')])

  it('has the arrows of test/house/arrows.test.ts', () => {
    expect(arrows.length).toBeGreaterThan(5)
    expect(table(architecture, 'Room', 'May import')).toEqual(arrows)
  })

  it('says what each room holds', () => {
    const rooms = table(architecture, 'Room', 'What it holds').map(([room]) => room)
    expect(rooms).toEqual(expect.arrayContaining(arrows.map(([room]) => room)))
  })

  it('has a reason for every dependency, and no other', () => {
    const rows = table(architecture, 'Package', 'Reason')
    const packages = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    expect(rows.map(([name]) => name).sort()).toEqual(packages.sort())
    expect(rows.filter(([, reason = '']) => reason.length < 10)).toEqual([])
  })
})

describe('docs/states.md', () => {
  const states = read('docs/states.md')

  it.each(['VerificationStatus', 'SendState'])('draws every state of %s', (type) => {
    const words = union('packages/verification/verification.ts', type)
    expect(words.length).toBeGreaterThan(4)
    expect(words.filter((word) => !new RegExp(`--> ${word}: `).test(states))).toEqual([])
  })

  it('names every script that moves something', () => {
    const scripts = globSync('packages/store/*.lua', { cwd: ROOT })
      .filter((file) => read(file).includes('-- KEYS[1]'))
      .map((file) => file.split('/').at(-1) ?? '')
    expect(scripts.length).toBeGreaterThan(5)
    expect(scripts.filter((script) => !states.includes(`\`${script}\``))).toEqual([])
  })
})

describe('docs/runbook.md', () => {
  it('says what to do for every problem of /readyz', () => {
    const redis = all(read('packages/runtime/redis.ts'), /return '(redis_\w+)'/g)
    const tagKey = union('packages/store/tag-key.ts', 'TagKeyProblem')
    const provider = union('packages/providers/provider.ts', 'ProviderStatus').filter(
      (word) => word !== 'ready',
    )
    const problems = new Set([
      ...redis,
      ...tagKey,
      ...provider.map((status) => `provider_${status}`),
      'stopping',
    ])
    expect(all(runbook, /^### (\w+)$/gm).sort()).toEqual([...problems].sort())
  })

  it('explains every field of the log', () => {
    const fields = all(read('packages/runtime/log.ts'), /^ {2}(\w+)\?: /gm)
    const explained = table(runbook, 'Field', 'Meaning').flatMap(([names = '']) => names.split(', '))
    expect(explained).toEqual(expect.arrayContaining(fields))
    expect(explained.length).toBe(fields.length + ['level', 'time', 'msg', 'program'].length - 1)
  })
})

describe('SECURITY.md', () => {
  const shown = [...read('SECURITY.md').matchAll(/`(test\/[\w./-]+)`:\s+\*([^*]+)\*/g)].map(
    ([, file = '', name = '']) => [name.replace(/\s+/g, ' '), file] as const,
  )

  it('has a test for every control', () => {
    const [, controls = ''] = /\n## Threat model\n([\s\S]*?)\n## Keys\n/.exec(read('SECURITY.md')) ?? []
    expect(shown.length).toBeGreaterThan(50)
    expect(shown.length).toBe(all(controls, /^(- )/gm).length)
  })

  it.each(shown)('quotes a test that is there: %s', (name, file) => {
    expect(read(file)).toContain(name)
  })
})
