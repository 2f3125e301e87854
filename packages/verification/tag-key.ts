/**
 * The tag key sealed for Redis under DESTINATION_KEYS: the first of them seals, any of them opens. It is random and not
 * derived from any of them, so that one that has leaked opens nothing that was sealed after it was replaced.
 */
import { randomBytes } from 'node:crypto'
import { derive, type MasterKey, newestOf, openAny, seal, sealerOf } from './sealing.ts'

const SECRET_BYTES = 32
const idShape = /^[a-z0-9]{1,4}$/

/** `newest`: it was the first key that opened it. `why` never quotes what was found. */
export type OpenedTagKey =
  | { kind: 'opened'; secret: Buffer; newest: boolean }
  | { kind: 'locked'; why: string }

export const newTagKey = (): Buffer => randomBytes(SECRET_BYTES)

/** @param destinationKeys at least one */
export function createTagKeySeals(destinationKeys: readonly MasterKey[]) {
  const keys = destinationKeys.map(({ id, secret }) => ({ id, seal: derive(secret, 'tag-key-seal') }))
  const newest = newestOf(keys)

  function opened(sealed: string, id: string): OpenedTagKey {
    try {
      const secret = openAny(keys, sealed, boundTo(id))
      if (secret === undefined) return { kind: 'locked', why: `no_key ${id}` }
      return { kind: 'opened', secret, newest: id === newest.id }
    } catch {
      return { kind: 'locked', why: `wrong_key ${id}` }
    }
  }

  return {
    seal: (secret: Buffer): string => seal(newest, secret, boundTo(newest.id)),
    open(sealed: string): OpenedTagKey {
      const id = sealerOf(sealed)
      return idShape.test(id) ? opened(sealed, id) : { kind: 'locked', why: 'unreadable' }
    },
  }
}

const boundTo = (id: string) => Buffer.from(`tag-key\0${id}`)
