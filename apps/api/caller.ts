/**
 * Who calls: an API key names its application. Compared by digest and in constant time, and before a body is read.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import type { Application } from '#verification/verification.ts'
import type { ApiKey } from './config.ts'
import { type ApiEnv, headerOf } from './context.ts'
import { problem } from './problem.ts'

/** Everything belongs to it where no API keys are set. */
export const DEFAULT_APPLICATION = 'default' as Application

const digest = (text: string) => createHash('sha256').update(text).digest()

function createIdentify(apiKeys: readonly ApiKey[]): (authorization?: string) => Application | undefined {
  if (apiKeys.length === 0) return () => DEFAULT_APPLICATION
  const known = apiKeys.map(({ application, key }) => ({ application, digest: digest(key) }))
  return (authorization = '') => {
    const key = /^Bearer ([!-~]+)$/i.exec(authorization)?.[1]
    if (key === undefined) return undefined
    const presented = digest(key)
    let found: Application | undefined
    for (const candidate of known) {
      if (timingSafeEqual(candidate.digest, presented)) found = candidate.application
    }
    return found
  }
}

export function requireCaller(apiKeys: readonly ApiKey[]): MiddlewareHandler<ApiEnv> {
  const identify = createIdentify(apiKeys)
  return async (c, next) => {
    const application = identify(headerOf(c, 'authorization'))
    if (!application) {
      return problem(c, 'unauthorized', { headers: { 'WWW-Authenticate': 'Bearer' } })
    }
    c.set('application', application)
    return await next()
  }
}
