// One Redis server of our own on one data folder: started on a free port of 127.0.0.1 with the settings the service
// asks for, never two on one folder, ended by stop() or, if we are killed, by the guard.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { lastLines } from './command.mjs'
import { endWithMe } from './guard.mjs'
import { withLock } from './lock.mjs'
import { freePort } from './ports.ts'
import { alive } from './processes.mjs'
import { Stop } from './progress.mjs'
import { askRedis } from './redis-ask.ts'

const READY_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 10_000
const KILL_DEADLINE_MS = 1000
const POLL_MS = 20
const LOG_FILE = 'redis.log'
const RECORD_FILE = 'running.json'

/** What starts a server on a port: it must stay in the foreground and end on SIGTERM. */
export type Launch = (place: { dir: string; port: number; settings: string[] }) => {
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
}

export type RunningServer = {
  url: string
  pid: number
  /** Settles when the server has ended, wanted or not; tells the last lines of its log. */
  ended: Promise<string>
  stop(): Promise<void>
  /** SIGTERM without waiting (it also works through Docker), SIGKILL a second later. */
  kill(): void
}

type Options = {
  launch: Launch
  /** The folder that keeps the data; without one, a throwaway folder that goes with the server. */
  dir?: string | undefined
  signal?: AbortSignal | undefined
}

/** noeviction: an evicted code or job would be a broken promise. AOF: what was answered 202 survives a crash. */
const SETTINGS = ['--maxmemory-policy', 'noeviction', '--appendonly', 'yes', '--save', '']

export async function startServer({ launch, dir, signal }: Options): Promise<RunningServer> {
  const folder = dir ?? mkdtempSync(join(tmpdir(), 'sms-2fa-redis-'))
  mkdirSync(folder, { recursive: true })
  const start = async () => {
    await endLeftover(folder)
    return await startOn(folder, launch, signal)
  }
  const server = await withLock(join(folder, 'starting.lock'), start, { signal })
  if (dir === undefined) void server.ended.then(() => rmSync(folder, { recursive: true, force: true }))
  return server
}

async function startOn(dir: string, launch: Launch, signal?: AbortSignal): Promise<RunningServer> {
  const port = await freePort()
  const log = openSync(join(dir, LOG_FILE), 'w')
  const { command, args, env } = launch({ dir, port, settings: SETTINGS })
  const child = spawn(command, args, { cwd: dir, env: env ?? process.env, stdio: ['ignore', log, log] })
  closeSync(log)
  const exited = endOf(child, dir)
  const pid = child.pid
  if (pid === undefined) throw new Stop(`Redis did not start: ${await exited}`)
  const release = endWithMe(pid)
  const ended = exited.finally(release)
  const stop = () => end(child, ended, STOP_DEADLINE_MS)
  try {
    await untilReady(port, ended, signal)
    const record: RunRecord = { pid, port, runId: (await runIdOf(port)) ?? '', owner: process.pid }
    writeFileSync(join(dir, RECORD_FILE), JSON.stringify(record))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    pid,
    ended,
    stop,
    kill: () => void end(child, ended, KILL_DEADLINE_MS),
  }
}

function endOf(child: ChildProcess, dir: string): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', () => {
      rmSync(join(dir, RECORD_FILE), { force: true })
      resolve(lastLines(readFileSync(join(dir, LOG_FILE), 'utf8')))
    })
  })
}

async function untilReady(port: number, ended: Promise<string>, signal?: AbortSignal): Promise<void> {
  let log: string | undefined
  void ended.then((lines) => {
    log = lines
  })
  const deadline = Date.now() + READY_DEADLINE_MS
  while ((await askRedis(port, 'PING')) !== 'PONG') {
    signal?.throwIfAborted()
    if (log !== undefined) throw new Stop(`Redis ended while starting. Its last lines:\n${log}`)
    if (Date.now() > deadline) throw new Stop(`Redis was not ready after ${READY_DEADLINE_MS / 1000} s.`)
    await wait(POLL_MS)
  }
}

async function end(child: ChildProcess, ended: Promise<string>, deadlineMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
  await ended
  clearTimeout(timer)
}

/** runId names one run of one server, which a process number or a port alone does not. */
type RunRecord = { pid: number; port: number; runId: string; owner: number }

/**
 * A server that an earlier run left on this folder (we were killed, and its guard too): ended when its owner is gone.
 * With a living owner the folder is in use, and a second server on it would spoil the data.
 */
async function endLeftover(dir: string): Promise<void> {
  const record = readRecord(dir)
  if (record === undefined || (await runIdOf(record.port)) !== record.runId) return
  if (alive(record.owner)) {
    throw new Stop(
      `Redis already runs on ${dir} for process ${record.owner}: stop that one (Ctrl-C there), or set REDIS_URL.`,
    )
  }
  await askRedis(record.port, 'SHUTDOWN')
  const deadline = Date.now() + STOP_DEADLINE_MS
  while (alive(record.pid) || (await runIdOf(record.port)) === record.runId) {
    if (Date.now() > deadline)
      throw new Stop(`An earlier Redis on ${dir} (port ${record.port}) does not end: end it.`)
    await wait(POLL_MS)
  }
}

async function runIdOf(port: number): Promise<string | undefined> {
  return /run_id:(\w+)/.exec((await askRedis(port, 'INFO server')) ?? '')?.[1]
}

function readRecord(dir: string): RunRecord | undefined {
  try {
    const { pid, port, runId, owner } = JSON.parse(readFileSync(join(dir, RECORD_FILE), 'utf8'))
    return { pid: Number(pid), port: Number(port), runId: String(runId), owner: Number(owner) }
  } catch {
    return undefined
  }
}
