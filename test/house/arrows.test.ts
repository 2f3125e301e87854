/** Which room may import what: the arrows of ARCHITECTURE.md as data. A broken one fails with the offending line. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** Room → what its files may import besides their own room. `node:` alone stands for every built-in module. */
const ARROWS: Record<string, readonly string[]> = {
  'packages/verification': ['node:crypto', 'libphonenumber-js/max'],
  'packages/runtime': ['node:', 'ioredis', 'pino', 'prom-client', '#verification'],
  'packages/store': ['node:', 'ioredis', '#verification'],
  'packages/queue': ['bullmq', 'ioredis', '#verification'],
  'packages/providers': ['node:', '@signalwire/realtime-api', 'cockatiel', '#verification'],
  'packages/receipts': ['#store', '#runtime', '#verification'],
  'packages/captcha': ['node:'],
  'packages/webhooks': ['node:', 'ipaddr.js'],
  'apps/api': [
    'node:',
    'hono',
    '@hono/node-server',
    'valibot',
    '#verification',
    '#store',
    '#queue',
    '#providers',
    '#receipts',
    '#captcha',
    '#runtime',
  ],
  'apps/worker': [
    'node:',
    'hono',
    '@hono/node-server',
    'bullmq',
    '#verification',
    '#store',
    '#queue',
    '#providers',
    '#receipts',
    '#webhooks',
    '#runtime',
  ],
  'apps/admin': ['node:', 'ioredis', '#verification', '#store', '#runtime'],
  'apps/sandbox': ['node:', 'hono', '@hono/node-server', 'ws'],
  'apps/dev': ['node:', 'pino-pretty', '#runtime'],
}

/** What only one place may do. */
const RESERVED: readonly { what: RegExp; only: RegExp; why: string }[] = [
  {
    what: /@signalwire\//,
    only: /^packages\/providers\/signalwire-relay-thread\.ts$/,
    why: 'one SDK a file',
  },
  {
    what: /'prom-client'/,
    only: /^packages\/runtime\/metrics\.ts$/,
    why: 'metrics are named and served alike',
  },
  {
    what: /\bprocess\.env\b/,
    only: /^apps\/(api|worker|sandbox)\/main\.ts$|^apps\/(admin\/(keys|policy|sending)\.ts$|dev\/)/,
    why: 'the environment is read in config.ts, which main.ts hands it to',
  },
  { what: /\bVITEST\b|from 'vitest'/, only: /^$/, why: 'no test knowledge in production code' },
]

type Line = { file: string; number: number; text: string }

const files = globSync('{apps,packages}/**/*.{ts,mjs}', { cwd: ROOT }).map((file) =>
  file.replaceAll('\\', '/'),
)
const lines: Line[] = files.flatMap((file) =>
  readFileSync(join(ROOT, file), 'utf8')
    .split('\n')
    .map((text, index) => ({ file, number: index + 1, text })),
)

const importOf = (text: string) =>
  /\bfrom '([^']+)'|\bimport '([^']+)'|\bimport\('([^']+)'\)/.exec(text)?.slice(1).find(Boolean)

function allows(allowed: readonly string[], target: string): boolean {
  return allowed.some((name) => target === name || target.startsWith(name.endsWith(':') ? name : `${name}/`))
}

const show = ({ file, number, text }: Line) => `${file}:${number} ${text.trim()}`

describe('the arrows', () => {
  it.each(Object.entries(ARROWS))('%s imports only what it may', (room, allowed) => {
    const imports = lines.filter(
      ({ file, text }) => file.startsWith(`${room}/`) && importOf(text) !== undefined,
    )
    const broken = imports.filter(({ text }) => {
      const target = importOf(text) ?? ''
      return !target.startsWith('./') && !target.startsWith('../') && !allows(allowed, target)
    })
    expect(imports.length).toBeGreaterThan(0)
    expect(broken.map(show)).toEqual([])
  })

  it('leave no room out', () => {
    const rooms = new Set(files.map((file) => file.split('/').slice(0, 2).join('/')))
    expect([...rooms].sort()).toEqual(Object.keys(ARROWS).sort())
  })

  it('go by # between rooms and by ./ inside one, and name a file with its ending', () => {
    const strange = lines.filter(({ text }) => {
      const target = importOf(text)
      if (target === undefined || !/^[.#]/.test(target)) return false
      return target.startsWith('../') || !/\.(ts|mjs)$/.test(target)
    })
    expect(strange.map(show)).toEqual([])
  })

  it.each(RESERVED)('keep a thing in its place: $why', ({ what, only }) => {
    const elsewhere = lines.filter(
      ({ file, text }) => what.test(text) && !only.test(file) && !/^\s*(\/\/|\*|\/\*)/.test(text),
    )
    expect(elsewhere.map(show)).toEqual([])
  })

  it('point at no index file and no room of leftovers', () => {
    expect(files.filter((file) => /\/(index|utils?|helpers?|types|common)(\.ts|\/)/.test(file))).toEqual([])
  })
})
