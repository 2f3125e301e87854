/** The lines that metrics count are lines that are written: a renamed one would leave its metric for dead. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { countedByApi } from '#api/metrics.ts'
import { countedByBoth, createMetrics } from '#runtime/metrics.ts'
import { countedByWorker } from '#worker/metrics.ts'

const ROOT = join(import.meta.dirname, '../..')

function sourcesOf(...rooms: string[]): string {
  const files = globSync(`{${rooms.join(',')}}/**/*.ts`, { cwd: ROOT })
  return files
    .filter((file) => !file.endsWith('metrics.ts'))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n')
}

/** As the last thing that a log is told, wherever the call breaks its lines. */
const isWritten = (source: string, message: string) => new RegExp(`'${message}',?\\s*\\)`).test(source)

const rooms = {
  api: { counted: countedByApi, source: sourcesOf('apps/api', 'packages') },
  worker: { counted: countedByWorker, source: sourcesOf('apps/worker', 'packages') },
}

it.each(Object.entries(rooms))('every line that the %s counts is written', (_, { counted, source }) => {
  const messages = [counted, countedByBoth].flatMap((table) => Object.keys(table(createMetrics())))
  expect(messages.length).toBeGreaterThan(5)
  expect(messages.filter((message) => !isWritten(source, message))).toEqual([])
})
