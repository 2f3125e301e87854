/** The metrics of the programs as they run: on ports of their own, of everything, and whatever is down (P8, P9). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, type TestContext, vi } from 'vitest'
import { freePort } from '#dev/ports.ts'
import { receiver, SECRET } from '#test/fixtures/receiver.ts'
import { startOwnRedis } from '#test/fixtures/redis-server.ts'
import { numberEnding, type Service } from '#test/fixtures/service.ts'
import { starting } from './running.ts'

const runbook = readFileSync(join(import.meta.dirname, '../../docs/runbook.md'), 'utf8')

const eventually = <T>(read: () => Promise<T>) => vi.waitFor(read, { timeout: 15_000, interval: 100 })

async function scrape(url: string): Promise<string> {
  const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(8_000) })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  return answer.text()
}

/** A service with the metrics of its API at `api` and those of its worker at `worker`. */
async function measured(context: TestContext) {
  const redis = await startOwnRedis()
  context.onTestFinished(() => redis.stop())
  const { url } = await receiver([], context.onTestFinished)
  const port = await freePort()
  const service = await starting(context, {
    redisUrl: redis.url,
    env: {
      METRICS_PORT: String(port),
      LOG_LEVEL: 'silent',
      WEBHOOK_URL: url.href,
      WEBHOOK_SECRET: SECRET,
      WEBHOOK_ALLOW_PRIVATE: 'on',
    },
  })
  await service.ready()
  return { redis, service, api: `http://127.0.0.1:${port}`, worker: service.workers[0]?.url ?? '' }
}

const typesIn = (text: string) => [...text.matchAll(/^# TYPE (sms2fa_\w+) /gm)].map(([, name = '']) => name)

/** The first cells of the runbook's table. */
function documented(): string[] {
  const [, section = ''] = runbook.split('\n## Metrics\n')
  const [table = ''] = section.split('\n## ')
  return [...table.matchAll(/^\| `(sms2fa_\w+)` \|/gm)].map(([, name = '']) => name)
}

async function sendAndCheck(service: Service): Promise<void> {
  const to = numberEnding()
  const { body } = await service.start(to)
  const code = await service.codeAt(to)
  await service.check(body.id, code === '111111' ? '222222' : '111111')
  await service.check(body.id, code)
  await service.start(numberEnding('0104'))
  await service.call('POST', '/v1/verifications', { to: '+12025550100', country: 'nowhere' })
  await service.call('POST', `/v1/verifications/${body.id}/sends`)
}

describe.concurrent('the metrics', () => {
  it('count what happened, are all in the runbook, and are not at the port of callers', async (context) => {
    const { service, api, worker } = await measured(context)
    await sendAndCheck(service)
    await eventually(async () =>
      expect(await scrape(worker)).toContain('sms2fa_receipts_total{receipt="delivered"} 1'),
    )
    const [ofApi, ofWorker] = [await scrape(api), await scrape(worker)]
    for (const sample of [
      'sms2fa_request_duration_seconds_count{method="POST",route="/v1/verifications",status="202"} 2',
      'sms2fa_refusals_total{application="default",refusal="invalid_request",limit=""} 1',
      'sms2fa_refusals_total{application="default",refusal="verification_ended",limit=""} 1',
      'sms2fa_checks_total{application="default",result="wrong"} 1',
      'sms2fa_checks_total{application="default",result="approved"} 1',
      'sms2fa_ready 1',
    ])
      expect(ofApi.split('\n')).toContain(sample)
    for (const sample of [
      'sms2fa_attempts_total{provider="signalwire-relay",outcome="accepted",reason=""} 1',
      'sms2fa_provider_ready{provider="signalwire-relay"} 1',
      'sms2fa_provider_can_send 1',
      'sms2fa_provider_left_alone{provider="signalwire-relay"} 0',
      'sms2fa_jobs{state="waiting"} 0',
      'sms2fa_ready 1',
    ])
      expect(ofWorker.split('\n')).toContain(sample)
    expect(ofWorker).toMatch(/sms2fa_accepted_after_seconds_count [12]\n/)

    await eventually(async () =>
      expect(await scrape(worker)).toContain(
        'sms2fa_events_total{event="verification.approved",result="taken"} 1',
      ),
    )
    expect([...new Set([...typesIn(ofApi), ...typesIn(ofWorker)])].sort()).toEqual(documented().sort())
    expect((await fetch(`${service.apis[0]?.url}/metrics`)).status).toBe(404)
    expect((await fetch(`${api}/v1/verifications`)).status).toBe(404)
    await service.end()
  })

  it('are told while Redis and SignalWire are away, and say so', { timeout: 30_000 }, async (context) => {
    const { redis, service, api, worker } = await measured(context)
    await service.sandbox.close()
    await eventually(async () => {
      const lines = (await scrape(worker)).split('\n')
      expect(lines).toContain('sms2fa_provider_ready{provider="signalwire-relay"} 0')
      expect(lines).toContain('sms2fa_provider_can_send 0')
      expect(lines).toContain('sms2fa_ready 0')
      expect(lines).toContain('sms2fa_jobs{state="waiting"} 0')
    })
    redis.freeze()
    for (const url of [api, worker]) {
      const text = await scrape(url)
      expect(text).toContain('sms2fa_ready 0\n')
      expect(text).not.toMatch(/^sms2fa_jobs\{/m)
    }
    redis.thaw()
    await eventually(async () => expect(await scrape(api)).toContain('sms2fa_ready 1\n'))
    await service.end()
  })

  it('whose port is taken keep the API from starting, in one sentence', async (context) => {
    const { service, api } = await measured(context)
    const second = await service.startApi()
    await second.ended
    expect(second.child.exitCode).toBe(1)
    const port = new URL(api).port
    expect(second.output()).toContain(
      `api cannot start: port ${port} is taken. Set METRICS_PORT to another port.`,
    )
  })
})
