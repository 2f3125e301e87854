import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { which } from '#dev/command.mjs'
import { bringRedis } from '#dev/redis.ts'

const server = which(['redis-server', 'valkey-server'], process.env)

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sms-2fa-docker-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A docker that notes what it was told and runs the server of this machine instead of a container. */
function stubDocker(pull: string): NodeJS.ProcessEnv {
  const script = `#!/bin/sh
echo "$@" >> ${folder}/told
case "$1" in
  info) exit 0 ;;
  image) exit 1 ;;
  pull) ${pull} ;;
esac
for word in "$@"; do
  case "$word" in 127.0.0.1:*:6379) port=\${word#127.0.0.1:}; port=\${port%:6379} ;; esac
done
exec ${server} --bind 127.0.0.1 --port "$port"
`
  writeFileSync(join(folder, 'docker'), script)
  chmodSync(join(folder, 'docker'), 0o755)
  return { PATH: `${folder}:/nowhere` }
}

test.runIf(server)(
  'without a server on the PATH a Docker that answers gives one, and stop() ends it',
  async () => {
    const dir = join(folder, 'data')
    const redis = await bringRedis({ root: folder, env: stubDocker('exit 0'), dir })
    expect(redis.origin).toBe('docker')
    await redis.stop()
    expect(await redis.ended).toContain('Redis')
    const told = readFileSync(join(folder, 'told'), 'utf8').trim().split('\n')
    expect(told.slice(0, 3)).toEqual(['info', 'image inspect redis:8', 'pull redis:8'])
    expect(told[3]).toContain(`-v ${dir}:/data`)
    expect(told[3]).toContain('redis:8 redis-server --maxmemory-policy noeviction --appendonly yes')
  },
)

test('a Docker that cannot pull is passed over, with its own words', async () => {
  const env = stubDocker('echo no route to host; exit 1')
  const brought = bringRedis({ root: folder, env, origins: ['path', 'docker'] })
  await expect(brought).rejects.toThrow(/Docker could not bring redis:8:\n {4}no route to host/)
})
