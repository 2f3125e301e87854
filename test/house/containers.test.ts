/** The Dockerfile and the compose file, read as data: what `docker compose up --scale worker=4` relies on. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readConfig } from '#worker/config.ts'

const ROOT = join(import.meta.dirname, '../..')
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
const composeText = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')

type Service = {
  image: string
  command: string[]
  read_only?: boolean
  profiles?: string[]
  ports?: string[]
  container_name?: string
  stop_grace_period?: string
  environment?: Record<string, string>
  healthcheck?: { test: string[] }
}
const compose: { services: Record<string, Service> } = parse(composeText, { merge: true })
const programs = Object.entries(compose.services).filter(([name]) => name !== 'redis')

describe('the image', () => {
  it('is made of ordinary Debian-based tags, without digests or a syntax line', () => {
    expect([...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, tag]) => tag)).toEqual([
      'node:24-slim',
      'node:24-slim',
    ])
    expect(dockerfile + composeText).not.toMatch(/sha256:|# syntax=/)
  })

  it('installs what production needs and runs as an ordinary user', () => {
    expect(dockerfile).toContain('npm ci --omit=dev')
    expect(dockerfile).toMatch(/^USER node$/m)
  })

  it('copies only what is there, all of it let through by .dockerignore', () => {
    const ignore = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, list = '']) =>
      list.split(' ').slice(0, -1),
    )
    expect(copied.length).toBeGreaterThan(5)
    for (const path of copied) {
      expect(existsSync(join(ROOT, path)), path).toBe(true)
      expect(ignore).toContain(`!${path.split('/')[0]}`)
    }
  })
})

it('the image holds every program and the commands of an operator', () => {
  for (const room of ['admin', 'api', 'worker', 'sandbox'])
    expect(dockerfile).toContain(`COPY apps/${room} ./apps/${room}\n`)
})

describe('docker compose', () => {
  it('brings redis, api and worker, and the sandbox in a profile', () => {
    expect(Object.keys(compose.services)).toEqual(['redis', 'api', 'worker', 'sandbox'])
    expect(compose.services.sandbox?.profiles).toEqual(['sandbox'])
    expect(compose.services.worker?.environment?.SANDBOX_URL).toBe('ws://sandbox:3001')
  })

  it.each(programs)('runs %s from the one image, read-only, with a readiness check', (_, service) => {
    expect(service.image).toBe('sms-two-factor-auth')
    expect(service.read_only).toBe(true)
    expect(service.healthcheck?.test.join(' ')).toContain('/readyz')
    expect(existsSync(join(ROOT, service.command[1] ?? ''))).toBe(true)
  })

  it('can run four workers: none has a name or a port of its own', () => {
    expect(compose.services.worker?.ports).toBeUndefined()
    expect(compose.services.worker?.container_name).toBeUndefined()
  })

  it.each(programs)('gives %s longer to stop than it takes at the most', (_, service) => {
    const graceMs = Number(/^(\d+)s$/.exec(service.stop_grace_period ?? '')?.[1]) * 1_000
    expect(graceMs).toBeGreaterThan(readConfig({}).config.shutdownDeadlineMs + 3_000)
  })

  it('keeps what Redis is told: an append-only file and no eviction', () => {
    expect(compose.services.redis?.command.join(' ')).toMatch(
      /--appendonly yes.*--maxmemory-policy noeviction/,
    )
    expect(compose.services.redis?.healthcheck).toBeDefined()
  })
})
