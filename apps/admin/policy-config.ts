/** What a replay reads of the environment: what the API reads, so that both mean the same policy. */
import { readLists, readRegions } from '#runtime/destination-settings.ts'
import { createReader, type Environment } from '#runtime/env.ts'
import { readSettings, type Settings } from '#runtime/settings.ts'
import type { Region } from '#verification/destination.ts'
import type { Lists } from '#verification/lists.ts'

export type PolicyConfig = Settings & { regions: ReadonlySet<Region>; lists: Lists }

export function readConfig(env: Environment): { config: PolicyConfig; problems: readonly string[] } {
  const reader = createReader(env)
  const settings = readSettings(reader)
  const { regions } = readRegions(reader, settings.senders)
  const config = { ...settings, regions, lists: readLists(reader) }
  return { config, problems: reader.problems }
}
