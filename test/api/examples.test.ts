/** The files of docs/your-application.md, each run by its own language against the API, as whoever copies it would. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request as requestHttp } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { which } from '#dev/command.mjs'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import type { Application } from '#verification/verification.ts'
import { apiOn, KEYS, WITH_KEYS } from './api.ts'
import { listen } from './port.ts'

const connection = useRedis()
const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'sms-2fa-examples-'))
const text = readFileSync(join(import.meta.dirname, '../../docs/your-application.md'), 'utf8')
const SHOP = 'shop' as Application
const IP = '203.0.113.7'

/** How each language calls a function of its file with the words that follow, and prints what it answers as JSON. */
const LANGUAGES = {
  js: {
    file: 'two-factor.mjs',
    command: process.execPath,
    driver: (call: string) => [
      '--input-type=module',
      '-e',
      `import * as file from './two-factor.mjs'
       console.log(JSON.stringify(await file.${call}(...process.argv.slice(1))))`,
    ],
    send: 'sendCode',
    check: 'checkCode',
  },
  python: {
    file: 'two_factor.py',
    command: which(['python3'], process.env),
    driver: (call: string) => [
      '-c',
      `import json, sys, two_factor; print(json.dumps(two_factor.${call}(*sys.argv[1:])))`,
    ],
    send: 'send_code',
    check: 'check_code',
  },
  php: {
    file: 'two_factor.php',
    command: which(['php'], process.env),
    driver: (call: string) => [
      '-r',
      `require 'two_factor.php'; echo json_encode(${call}(...array_slice($argv, 1)));`,
      '--',
    ],
    send: 'send_code',
    check: 'check_code',
  },
}
type Language = keyof typeof LANGUAGES

/** The one block of a language that begins with the name of its file. */
function exampleIn(language: Language): string {
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))]
  const named = blocks
    .map(([, block = '']) => block)
    .filter((block) => block.split('\n')[0]?.includes(LANGUAGES[language].file))
  expect(named).toHaveLength(1)
  return named[0] ?? ''
}

/** In front of the API: the first answer to each path is lost on its way back, however well it was. */
async function losingFirstAnswers(port: number): Promise<string> {
  const lost = new Set<string>()
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url = '' } = incoming
    const isFirst = !lost.has(url)
    lost.add(url)
    const onward = requestHttp({ port, path: url, method, headers }, (answer) => {
      if (isFirst) answer.resume().once('end', () => incoming.socket.destroy())
      else answer.pipe(outgoing.writeHead(answer.statusCode ?? 0, answer.headers))
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

beforeAll(() => {
  for (const language of ['js', 'python', 'php'] as const)
    writeFileSync(join(folder, LANGUAGES[language].file), exampleIn(language))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.each(['js', 'python', 'php'] as const)('the example in %s', (language) => {
  const { command, driver, ...calls } = LANGUAGES[language]

  async function call(url: string, which: 'send' | 'check', ...words: string[]): Promise<unknown> {
    const env = { ...process.env, TWO_FACTOR_URL: url, TWO_FACTOR_KEY: KEYS.shop }
    const { stdout } = await run(command ?? '', [...driver(calls[which]), ...words], { cwd: folder, env })
    return JSON.parse(stdout)
  }

  async function serving() {
    const api = apiOn(connection.redis, { config: WITH_KEYS })
    const { origin, port } = await listen(api.app)
    return { api, origin, port }
  }

  it.skipIf(command === undefined)('sends a code and checks it', async () => {
    const { api, origin } = await serving()
    const to = freshDestination()
    const { id } = (await call(origin, 'send', to, IP)) as { id: string }
    const code = await api.codeOf(id, SHOP)
    const wrong = code === '000000' ? '000001' : '000000'
    expect(await call(origin, 'check', id, wrong, IP)).toBe('wrong')
    expect(await call(origin, 'check', id, 'abc', IP)).toBe('invalid_code')
    expect(await call(origin, 'check', id, code, IP)).toBe('approved')
    expect(await call(origin, 'check', id, code, IP)).toBe('already_used')
  })

  it.skipIf(command === undefined)('says what was refused, and how long to wait', async () => {
    const { origin } = await serving()
    const to = freshDestination()
    await call(origin, 'send', to, IP)
    const again = (await call(origin, 'send', to, IP)) as { refusal: string; wait: number }
    expect(again.refusal).toBe('resend_cooldown')
    expect(again.wait).toBeGreaterThan(0)
    expect(again.wait).toBeLessThanOrEqual(30)
    expect(await call(origin, 'send', 'no number', IP)).toMatchObject({ refusal: 'invalid_number' })
  })

  it.skipIf(command === undefined)('asks again when an answer is lost: one SMS, one approval', async () => {
    const { api, port } = await serving()
    const url = await losingFirstAnswers(port)
    const { id } = (await call(url, 'send', freshDestination(), IP)) as { id: string }
    expect(await call(url, 'check', id, await api.codeOf(id, SHOP), IP)).toBe('approved')
    expect(api.enqueued, 'both starts hand over the one send there is').toMatchObject([
      { send: 1 },
      { send: 1 },
    ])
    expect(api.lines.filter(({ result }) => result === 'approved')).toHaveLength(2)
  })
})
