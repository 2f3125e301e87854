/** Where events are told, as settings: one receiver for a deployment, and what it is signed with. */
import { isIP } from 'node:net'
import { type Kind, listOf, type Reader, toggle } from '#runtime/env.ts'
import { isWeak } from '#runtime/settings.ts'
import { hostOf, isAllowed } from '#webhooks/addresses.ts'
import { parseSecret } from '#webhooks/signature.ts'

export type WebhookConfig = {
  url: URL
  secrets: readonly Buffer[]
  allowPrivate: boolean
  /** Events told at a time. */
  concurrency: number
}

const CONCURRENCY = 10

const secret: Kind<Buffer> = {
  expected: 'whsec_ and 24 to 64 random bytes in base64 (echo whsec_$(openssl rand -base64 32))',
  parse: parseSecret,
}

export function readWebhook(reader: Reader): WebhookConfig | undefined {
  const allowPrivate = reader.value('WEBHOOK_ALLOW_PRIVATE', toggle, false)
  const url = reader.secret<URL | undefined>(
    'WEBHOOK_URL',
    receiver(allowPrivate, reader.production),
    undefined,
  )
  const secrets = reader.secret('WEBHOOK_SECRET', listOf(secret), [])
  if (reader.production && secrets.some(isWeak)) {
    reader.problem('WEBHOOK_SECRET', 'is a secret that was typed or repeats itself')
  }
  if (!reader.has('WEBHOOK_URL')) return undefined
  if (!reader.has('WEBHOOK_SECRET')) reader.problem('WEBHOOK_SECRET', 'must be set with WEBHOOK_URL')
  return url && { url, secrets, allowPrivate, concurrency: CONCURRENCY }
}

/** An address that could never be told anything is refused at start; a name is judged each time it is resolved. */
function receiver(allowPrivate: boolean, production: boolean): Kind<URL> {
  return {
    expected:
      'an https:// address without user and password, not of this machine or a private network unless WEBHOOK_ALLOW_PRIVATE=on',
    parse(text) {
      const url = URL.parse(text)
      if (!url) return undefined
      if (url.username !== '' || url.password !== '') return undefined
      const host = hostOf(url)
      if (isIP(host) !== 0 && !isAllowed(host, allowPrivate)) return undefined
      if (url.protocol === 'https:') return url
      const onlyHere = allowPrivate && !production && /^(localhost|127\.[0-9.]+|::1)$/.test(host)
      return url.protocol === 'http:' && onlyHere ? url : undefined
    },
  }
}
