/**
 * Keeps the key ring as its sources are: the keys of Redis and the file of API_KEYS_FILE, looked at every other second,
 * so that a key that is made or revoked counts or ends within five seconds and without a restart. What cannot be read,
 * or is wrong, changes nothing: the last good keys go on counting.
 */
import { readFile } from 'node:fs/promises'
import type { Log } from '#runtime/log.ts'
import { faultName } from '#runtime/redis.ts'
import type { ApiKeys } from '#store/api-keys.ts'
import { digestOf } from '#verification/api-key.ts'
import { type ApiConfig, parseApiKeys } from './config.ts'
import type { KeyRing } from './key-ring.ts'

const LOOK_EVERY_MS = 2_000

/** Reads one source once, and never throws. */
type Look = () => Promise<void>

type Parts = {
  config: Pick<ApiConfig, 'apiKeys' | 'apiKeysFile' | 'keysInRedis'>
  apiKeys: ApiKeys
  ring: KeyRing
  log: Log
  /** There may be other applications now. */
  onChange: () => void
}

/** Fills the ring and goes on looking until told to stop. */
export function followKeys(parts: Parts): { look: Look; stop: () => void } {
  const { config, ring } = parts
  const looks: Look[] = []
  ring.setConfigured(config.apiKeys)
  if (config.apiKeysFile !== '') looks.push(lookAtFile(parts))
  if (config.keysInRedis) looks.push(lookAtRedis(parts))
  else ring.setStored({ keys: [], everMade: false })
  const look = async () => void (await Promise.all(looks.map((one) => one())))
  const timer = setInterval(look, LOOK_EVERY_MS)
  return { look, stop: () => clearInterval(timer) }
}

function lookAtRedis({ apiKeys, ring, log, onChange }: Parts): Look {
  const isNew = changes()
  const told = tellOnce(log, 'API keys of Redis not read, the last known ones count')
  return async () => {
    try {
      const { keys, unreadable } = await apiKeys.list()
      told.worked()
      if (!isNew(JSON.stringify([keys, unreadable]))) return
      const live = keys.filter(({ revokedAtMs }) => revokedAtMs === undefined)
      ring.setStored({ keys: live, everMade: keys.length + unreadable > 0 })
      log.info({ count: live.length }, 'API keys of Redis read')
      if (unreadable > 0) log.error({ count: unreadable }, 'API keys of Redis that nobody can read')
      onChange()
    } catch (error) {
      told.failed(faultName(error))
    }
  }
}

function lookAtFile({ config, ring, log, onChange }: Parts): Look {
  const isNew = changes()
  const told = tellOnce(log, 'API_KEYS_FILE not read, the last good keys count')
  return async () => {
    try {
      const text = await readFile(config.apiKeysFile, 'utf8')
      told.worked()
      if (!isNew(text)) return
      const { keys, problems } = parseApiKeys(text)
      for (const reason of problems) log.error({ reason }, 'API_KEYS_FILE is wrong, the last good keys count')
      if (problems.length > 0) return
      ring.setConfigured(keys)
      log.info({ count: keys.length }, 'API_KEYS_FILE read')
      onChange()
    } catch (error) {
      told.failed(faultName(error))
    }
  }
}

/** Whether a text is another than the one before; keeps its digest only. */
function changes(): (text: string) => boolean {
  let before: string | undefined
  return (text) => {
    const now = digestOf(text).toString('base64url')
    const changed = now !== before
    before = now
    return changed
  }
}

/** Trouble is one line when it begins, however long it lasts. */
function tellOnce(log: Log, message: string) {
  let failing = false
  return {
    worked(): void {
      failing = false
    },
    failed(fault: string): void {
      if (!failing) log.warn({ fault }, message)
      failing = true
    },
  }
}
