// Brings Debian's or Ubuntu's own Redis without root and without installing it: apt downloads the package and what it
// misses into a private state, dpkg-deb unpacks all of it into `.local/redis`, and the loader finds its libraries there.

import { existsSync, globSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines, run } from './command.mjs'
import { withLock } from './lock.mjs'
import { during, Unusable } from './progress.mjs'

type Options = {
  root: string
  env: NodeJS.ProcessEnv
  signal?: AbortSignal | undefined
  /** What dpkg says is installed; a test names another file to see a machine without Redis. */
  statusFile?: string
}

export function packagesHere(): boolean {
  return existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg-deb')
}

export async function bringPackage(options: Options): Promise<{ binary: string; env: NodeJS.ProcessEnv }> {
  const home = join(options.root, '.local', 'redis')
  const binary = join(home, 'usr', 'bin', 'redis-server')
  if (!existsSync(binary)) {
    const bring = async () => {
      if (!existsSync(binary)) await unpack(home, options)
    }
    await during('Bringing the distribution’s Redis package into .local/redis (once)', () =>
      withLock(`${home}.lock`, bring, { signal: options.signal }),
    )
  }
  const libraries = globSync(join(home, '{usr/lib,lib}', '*-linux-gnu*'))
  const path = [...libraries, options.env.LD_LIBRARY_PATH].filter(Boolean).join(':')
  return { binary, env: { ...options.env, LD_LIBRARY_PATH: path } }
}

/** Unpacked aside and renamed at the end: an interrupted run leaves nothing that looks finished. */
async function unpack(home: string, options: Options): Promise<void> {
  const work = `${home}.unpacking`
  rmSync(work, { recursive: true, force: true })
  const tree = join(work, 'tree')
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'tree']) {
    mkdirSync(join(work, folder), { recursive: true })
  }
  const settings = aptSettings(work, options.statusFile ?? '/var/lib/dpkg/status')
  await must('apt-get', [...settings, 'update'], options)
  const install = ['install', '--download-only', '--yes', '--no-install-recommends', 'redis-server']
  await must('apt-get', [...settings, ...install], options)
  const archives = join(work, 'cache', 'archives')
  for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb'))) {
    await must('dpkg-deb', ['-x', join(archives, file), tree], options)
  }
  if (!existsSync(join(tree, 'usr/bin/redis-server')))
    throw new Unusable('the downloaded package holds no redis-server')
  rmSync(home, { recursive: true, force: true })
  renameSync(tree, home)
  rmSync(work, { recursive: true, force: true })
}

function aptSettings(work: string, statusFile: string): string[] {
  const settings = {
    'Dir::State': join(work, 'state'),
    'Dir::State::lists': join(work, 'state', 'lists'),
    'Dir::State::status': statusFile,
    'Dir::Cache': join(work, 'cache'),
    'Dir::Cache::archives': join(work, 'cache', 'archives'),
    'Debug::NoLocking': '1',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'APT::Sandbox::User': userName(),
    // A machine's own hooks after an update or install are for its real state, not for this one.
    'APT::Update::Post-Invoke': '',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

/** Run by root, apt would download as `_apt`, which may not write here. */
function userName(): string {
  return process.getuid?.() === 0 ? 'root' : ''
}

/** With the system's own PATH: apt runs scripts of the distribution. */
async function must(command: string, args: string[], { env, signal }: Options): Promise<void> {
  const system = { ...env, LC_ALL: 'C', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }
  const { code, output } = await run(`/usr/bin/${command}`, args, { env: system, signal })
  if (code !== 0) throw new Unusable(`${command} could not bring redis-server:\n${lastLines(output)}`)
}
