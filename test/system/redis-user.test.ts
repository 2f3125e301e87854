/**
 * The service under the Redis users of docs/runbook.md, which may do what it needs and nothing else; and what it says
 * when it may not.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { queuePrefix } from '#queue/delivery-queue.ts'
import { createKeys } from '#store/keys.ts'
import { watch } from '#test/dev/processes.ts'
import { receiver, SECRET } from '#test/fixtures/receiver.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Program, type Service } from '#test/fixtures/service.ts'
import { SCOPES } from '#verification/gate.ts'
import {
  type Application,
  newVerificationId,
  type Purpose,
  type VerificationId,
} from '#verification/verification.ts'
import { starting } from './running.ts'

const ROOT = join(import.meta.dirname, '../..')
const PREFIX = '2fa'
const PASSWORD = 'password-of-the-tests'
const keys = createKeys(PREFIX)
const SENDER = '+12025550199'
const SAID = 'The Redis user lacks a right'

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
/** The commands of the runbook that make a user, each as the words that Redis is given. */
const users = [
  ...read('docs/runbook.md')
    .replaceAll(/ *\\\n */g, ' ')
    .matchAll(/^redis-cli (acl setuser .+)$/gm),
]
  .map(([, command = '']) => command.replaceAll("'", '').replaceAll('PASSWORD', PASSWORD))
  .map((command) => command.split(' '))

const eventually = <T>(read: () => T | Promise<T>, timeout = 14_000) =>
  vi.waitFor(read, { timeout, interval: 50 })

/** A Redis with these users, and its owner, who may do everything. */
async function guarded({ onTestFinished }: TestContext) {
  const server = await startOwnRedis()
  onTestFinished(() => server.stop())
  const owner = new Redis(server.url)
  onTestFinished(() => owner.disconnect())
  for (const [command = '', ...args] of users) expect(await owner.call(command, ...args)).toBe('OK')
  const urlOf = (user: string) => server.url.replace('redis://', `redis://${user}:${PASSWORD}@`)
  return { owner, programs: urlOf('2fa'), operator: urlOf('2fa-operator') }
}

const asUser = (context: TestContext, redisUrl: string, env: Record<string, string> = {}) =>
  starting(context, { redisUrl, env: { REDIS_PREFIX: PREFIX, ...env } })

async function runAs(redisUrl: string, command: string, expected = 0) {
  const [file = '', ...args] = command.split(' ')
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, REDIS_URL: redisUrl, REDIS_PREFIX: PREFIX }
  const program = watch(process.execPath, [`apps/admin/${file}.ts`, ...args], { cwd: ROOT, env })
  const { code } = await program.ended
  expect(code, program.output()).toBe(expected)
  return program.output()
}

/** From the start to the approval, with a wrong code between. */
async function verify(service: Service): Promise<string> {
  const to = numberEnding()
  const { body } = await service.start(to, { key: `start-${to}` })
  const code = await service.codeAt(to)
  await eventually(async () => expect(await service.delivery(body.id)).toBe('delivered'))
  const wrong = code === '000000' ? '000001' : '000000'
  expect(await service.check(body.id, wrong)).toMatchObject({ body: { result: 'wrong' } })
  expect(await service.check(body.id, code)).toMatchObject({ body: { result: 'approved' } })
  return to
}

/** A verification that is sent again, read, followed, canceled and erased. */
async function handle(service: Service, owner: Redis): Promise<void> {
  const to = numberEnding('0105')
  const { body } = await service.start(to)
  const path = `/v1/verifications/${body.id}`
  await service.codeAt(to)
  const key = keys.verification('default' as Application, String(body.id) as VerificationId)
  await owner.hset(key, 'next_send', 1)
  expect(await service.call('POST', `${path}/sends`)).toMatchObject({ status: 202 })
  expect(await service.call('POST', '/v1/destinations/rebind', { to })).toMatchObject({ status: 204 })
  expect(await service.call('DELETE', path)).toMatchObject({ status: 204 })
  const stream = await fetch(`${service.apis[0]?.url}${path}/events`)
  expect(await stream.text()).toContain('event: end')
  expect(await service.call('POST', '/v1/destinations/erase', { to })).toMatchObject({ status: 204 })
}

async function optOut({ sandbox, sandboxPort, start }: Service, to: string): Promise<void> {
  await fetch(`http://127.0.0.1:${sandboxPort}/api/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ from: to, to: SENDER, body: 'STOP' }),
  })
  await eventually(() => expect(sandbox.messages(to)[0]?.body).toContain('opted out'))
  expect(await start(to)).toMatchObject({ status: 403, body: { code: 'recipient_opted_out' } })
}

describe('under the users of the runbook', () => {
  it('api, worker and the commands do all they are for, and Redis refuses nothing', {
    timeout: 60_000,
  }, async (context) => {
    const { owner, programs, operator } = await guarded(context)
    const { url, received } = await receiver([], context.onTestFinished)
    const hooks = { WEBHOOK_URL: url.href, WEBHOOK_SECRET: SECRET, WEBHOOK_ALLOW_PRIVATE: 'on' }
    const service = await asUser(context, programs, hooks)
    await service.ready()
    const to = await verify(service)
    await handle(service, owner)
    await optOut(service, to)
    const told = () => received.map(({ body }) => JSON.parse(body).type)
    await eventually(() =>
      expect(told()).toEqual(expect.arrayContaining(['send.delivered', 'verification.approved'])),
    )
    await runAs(operator, 'sending stop test')
    expect(await service.start(numberEnding())).toMatchObject({ body: { code: 'sending_stopped' } })
    expect(await runAs(operator, 'sending status')).toContain('stopped')
    await runAs(operator, 'sending start')
    const made = await runAs(operator, 'keys create shop')
    await eventually(async () => expect(await service.start(numberEnding())).toMatchObject({ status: 401 }))
    expect(await runAs(operator, 'keys list')).toContain('shop')
    await runAs(operator, `keys revoke ${/API key ([a-z]{10}) of/.exec(made)?.[1]}`)
    await service.end()
    expect(await owner.call('ACL', 'LOG')).toEqual([])
  })

  it('neither may do more', async (context) => {
    const redis = await guarded(context)
    const forbidden = {
      programs: [
        ['hset', '{2fa}:@api-keys', 'id', 'key'],
        ['keys', '*'],
        ['scan', '0'],
        ['flushall'],
        ['config', 'get', '*'],
        ['function', 'flush'],
        ['acl', 'whoami'],
        ['get', 'another'],
        ['eval', "return redis.call('keys', '*')", '0'],
      ],
      operator: [
        ['hgetall', '{2fa}:shop:v:0123456789abcdef'],
        ['fcall', 'start', '0'],
        ['keys', '*'],
      ],
    }
    expect(await runAs(redis.programs, 'keys create shop', 1)).toContain('REDIS_URL lacks a right')
    for (const [who, commands] of Object.entries(forbidden)) {
      const client = new Redis(redis[who as keyof typeof forbidden])
      context.onTestFinished(() => client.disconnect())
      for (const [name = '', ...args] of commands)
        await expect(client.call(name, ...args), name).rejects.toThrow(
          /NOPERM|can't run this command|ACL failure/,
        )
    }
  })

  it('the programs’ has every command of our scripts, and every key', async (context) => {
    const { owner } = await guarded(context)
    const scripts = globSync('packages/store/*.lua', { cwd: ROOT }).map(read).join('\n')
    const called = [...scripts.matchAll(/redis\.call\('([A-Z]+)'/g)].map(([, name = '']) =>
      name.toLowerCase(),
    )
    expect(called.length).toBeGreaterThan(20)
    expect(called.filter((name) => !users[0]?.includes(`+${name}`))).toEqual([])
    for (const key of everyKey()) expect(await owner.call('acl', 'dryrun', '2fa', 'del', key), key).toBe('OK')
    expect(await owner.call('acl', 'dryrun', '2fa', 'hgetall', keys.apiKeys())).toBe('OK')
  })
})

/** One of each shape that the programs write. */
function everyKey(): string[] {
  const [of, id, purpose] = ['-shop' as Application, newVerificationId(), 'login' as Purpose]
  return [
    keys.verification(of, id),
    keys.pointer(of, 'tag', purpose),
    ...[keys.sends, keys.wrongChecks, keys.wrongInARow, keys.wrongPayments].map((key) => key(of, 'tag')),
    keys.idempotency(of, 'name'),
    keys.challenge(of, 'nonce'),
    keys.agenda(of),
    ...SCOPES.map((scope) => keys.scope(scope, 'name')),
    keys.scope('ip', undefined),
    ...[keys.stopped(), keys.outbox(), keys.outboxLease(), keys.libraries(), keys.applications()],
    ...[keys.unanswered(), `${keys.told()}:overall_day:nearly:all`, keys.gone('receiver')],
    ...[keys.message('id'), keys.suppression('tag'), keys.answer('tag', SENDER, 'help')],
    ...[keys.line(SENDER), keys.pace(SENDER), keys.turn('token')],
    `${queuePrefix(PREFIX)}:deliveries:wait`,
  ]
}

const linesOf = ({ output }: Program) =>
  output()
    .split('\n')
    .filter((line) => line !== '')

describe.concurrent('a user that lacks a right', () => {
  it.for([
    ['our scripts', '-fcall', '+fcall'],
    ['a command of a script of ours', '-zcount', '+zcount'],
    ['the queue', '-bzpopmin', '+bzpopmin'],
  ] as const)(
    'to %s: one line in each program that misses it, no flood, and all goes on once it has it',
    { timeout: 60_000 },
    async ([, less, more], context) => {
      const { owner, programs } = await guarded(context)
      await owner.call('acl', 'setuser', '2fa', less)
      const service = await asUser(context, programs)
      // So that what is missed is the right, and not the connection.
      for (const program of [...service.apis, ...service.workers])
        await eventually(async () =>
          expect(await (await fetch(`${program.url}/readyz`)).text()).not.toContain('redis_unreachable'),
        )
      const to = numberEnding()
      const { status, body } = await service.start(to)
      expect([202, 503]).toContain(status)
      await wait(5_000)
      const missed: number[] = []
      for (const program of [...service.apis, ...service.workers]) {
        const lines = linesOf(program)
        const said = lines.filter((line) => line.includes(SAID)).length
        missed.push(said)
        expect(lines.length, program.output()).toBeLessThan(20)
        const ready = await (await fetch(`${program.url}/readyz`)).text()
        expect(ready.includes('redis_right_missing')).toBe(said === 1)
      }
      expect(Math.max(...missed)).toBe(1)
      await owner.call('acl', 'setuser', '2fa', more)
      const again = async () => {
        const answer = await service.start(to)
        expect(answer.status).toBe(202)
        return answer.body.id
      }
      // A tag key that could not be read is looked for every two seconds.
      const id = status === 202 ? body.id : await eventually(again)
      await eventually(async () => expect(await service.delivery(id)).toBe('delivered'), 25_000)
    },
  )
})
