import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '#dev/ports.ts'
import { gone, type Watched, watch } from './processes.ts'

type Fake = { name: string; fault?: string; endsLast?: boolean }

async function start(...fakes: Fake[]): Promise<Watched & { pids(): number[] }> {
  const programs = await Promise.all(
    fakes.map(async ({ name, fault = '', endsLast = false }) => {
      const port = await freePort()
      const env = { FAKE_NAME: name, FAKE_PORT: String(port), FAKE_FAULT: fault }
      return { name, port, endsLast, portVariable: 'PORT', file: 'test/dev/fakes/program.ts', env }
    }),
  )
  const file = join(import.meta.dirname, 'fakes', 'start.ts')
  const watched = watch(process.execPath, [file], {
    env: { ...process.env, FAKES: JSON.stringify(programs) },
  })
  const pids = () => [...watched.output().matchAll(/"msg":"pid (\d+)"/g)].map((match) => Number(match[1]))
  return { ...watched, pids }
}

test('one Ctrl-C tells each program once, waits for all and ends with 0', async () => {
  const started = await start({ name: 'api' }, { name: 'worker' })
  await started.says('ready\n')
  started.child.kill('SIGINT')
  expect(await started.ended).toEqual({ code: 0, signal: null })
  expect(started.output().match(/got SIGTERM/g)).toHaveLength(2)
  expect(started.output()).not.toContain('got SIGINT')
  expect(started.pids()).toHaveLength(2)
  await Promise.all(started.pids().map(gone))
})

test('a program that the others need ends after them', async () => {
  const started = await start({ name: 'sandbox', endsLast: true }, { name: 'api' }, { name: 'worker' })
  await started.says('ready\n')
  started.child.kill('SIGTERM')
  await started.ended
  const told = [...started.output().matchAll(/^(\w+) .*got SIGTERM/gm)].map((match) => match[1])
  expect(told.at(-1)).toBe('sandbox')
  expect(told).toHaveLength(3)
})

test('a second Ctrl-C kills a program that ignores the first, at once, and ends with 130', async () => {
  const started = await start({ name: 'api' }, { name: 'worker', fault: 'deaf' })
  await started.says('ready\n')
  started.child.kill('SIGINT')
  await started.says('worker got SIGTERM')
  started.child.kill('SIGINT')
  expect(await started.ended).toEqual({ code: 130, signal: null })
  expect(started.output()).toContain('worker: killed (asked twice)')
  await Promise.all(started.pids().map(gone))
})

test('a program that ends by itself ends all, with its name and its last words', async () => {
  const started = await start({ name: 'api' }, { name: 'worker', fault: 'crash' })
  expect(await started.ended).toEqual({ code: 1, signal: null })
  expect(started.output()).toMatch(/worker ended by itself \(exit code 3\).*out of paper/s)
  await Promise.all(started.pids().map(gone))
})
