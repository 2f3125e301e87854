import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { gone, watch } from './processes.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const launchWith = (options: { detached?: boolean }, ...args: string[]) =>
  watch(process.execPath, ['apps/dev/run.mjs', 'test/dev/fakes/echo.ts', ...args], { cwd: ROOT, ...options })
const launch = (...args: string[]) => launchWith({}, ...args)
const pidIn = (output: string, word: string) => Number(new RegExp(`${word} (\\d+)`).exec(output)?.[1])

describe('the launcher', () => {
  test('runs the file with its arguments, the right Node and its tools first on the PATH', async () => {
    const launched = launch('exit', '0', 'a b')
    expect(await launched.ended).toEqual({ code: 0, signal: null })
    const path = `path ${dirname(process.execPath)}:${join(ROOT, 'node_modules', '.bin')}:`
    expect(launched.output()).toContain(`node ${process.version} args 0,a b ${path}`)
  })

  test.for([['0'], ['1'], ['7']])('ends with the code of the file: %s', async ([code = '']) => {
    expect(await launch('exit', code).ended).toEqual({ code: Number(code), signal: null })
  })

  test('ends by the signal that ended the file', async () => {
    expect(await launch('die').ended).toEqual({ code: null, signal: 'SIGKILL' })
  })

  test('passes a Ctrl-C that arrives twice, from the terminal and from npm, on once', async () => {
    const launched = launch('stay')
    await launched.says('pid')
    launched.child.kill('SIGINT')
    launched.child.kill('SIGINT')
    await launched.says('got SIGINT')
    launched.child.kill('SIGTERM')
    expect(await launched.ended).toEqual({ code: 0, signal: null })
    expect(launched.output().match(/got SIGINT/g)).toHaveLength(1)
  })

  test('asks the file to end in order when the terminal is closed', async () => {
    const launched = launch('stay')
    await launched.says('pid')
    launched.child.kill('SIGHUP')
    expect(await launched.ended).toEqual({ code: 0, signal: null })
    expect(launched.output()).toContain('got SIGTERM')
  })

  test('ends what the file left running', async () => {
    const launched = launch('leave')
    expect(await launched.ended).toEqual({ code: 0, signal: null })
    await gone(pidIn(launched.output(), 'left'))
  })

  test('killed outright, it takes the file along', async () => {
    const launched = launch('stay')
    await launched.says('pid')
    launched.child.kill('SIGKILL')
    await gone(pidIn(launched.output(), 'pid'))
  })

  test('killed outright with everything in its group, it still takes the file along', async () => {
    const launched = launchWith({ detached: true }, 'stay')
    await launched.says('pid')
    process.kill(-(launched.child.pid ?? Number.NaN), 'SIGKILL')
    await gone(pidIn(launched.output(), 'pid'))
  })

  test('says how it is used when it gets no file', async () => {
    const launched = watch(process.execPath, ['apps/dev/run.mjs'], { cwd: ROOT })
    expect(await launched.ended).toEqual({ code: 1, signal: null })
    expect(launched.output()).toBe('Usage: node apps/dev/run.mjs FILE [args]\n')
  })
})
