/**
 * Every program's entry starts under plain Node, which only strips types: what Vitest would transform and Node would
 * not shows here. Each is given a configuration it must refuse, so it loads everything and opens nothing.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

function start(main: string, env: Record<string, string>) {
  return spawnSync(process.execPath, [main], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
    timeout: 10_000,
  })
}

describe('in production', () => {
  it('the api lists everything that is missing, by name', () => {
    const { status, stderr } = start('apps/api/main.ts', { NODE_ENV: 'production', PORT: 'secret-value' })
    expect(status).toBe(1)
    for (const name of ['REDIS_URL', 'CODE_KEYS', 'DESTINATION_KEYS', 'API_KEYS', 'PORT'])
      expect(stderr).toContain(name)
    expect(stderr).not.toContain('secret-value')
  })

  it('the worker lists everything that is missing, by name', () => {
    const { status, stderr } = start('apps/worker/main.ts', { NODE_ENV: 'production' })
    expect(status).toBe(1)
    for (const name of [
      'REDIS_URL',
      'CODE_KEYS',
      'SIGNALWIRE_PROJECT',
      'SIGNALWIRE_TOKEN',
      'SIGNALWIRE_NUMBER',
    ]) {
      expect(stderr).toContain(name)
    }
  })

  it('the keys command lists what is missing, by name, and opens nothing', () => {
    const { status, stdout, stderr } = start('apps/admin/keys.ts', {
      NODE_ENV: 'production',
      API_KEYS_IN_REDIS: 'secret-value',
    })
    expect([status, stdout]).toEqual([1, ''])
    for (const name of ['REDIS_URL', 'API_KEYS_IN_REDIS']) expect(stderr).toContain(name)
    expect(stderr).not.toContain('secret-value')
  })

  it('the sandbox refuses to start', () => {
    const { status, stderr } = start('apps/sandbox/main.ts', { NODE_ENV: 'production' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/production/)
  })
})
