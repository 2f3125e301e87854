/** HTTP Basic as SignalWire uses it: the project is the user, the API token the password. */
import type { MiddlewareHandler } from 'hono'
import type { RestContext, RestEnv } from './order.ts'

/**
 * Lets in whoever names a project and a token, neither of which is the word `wrong`; where the path names a project, it
 * must be the same. Sets `project`.
 */
export function basicAuth(refuse: (c: RestContext) => Response): MiddlewareHandler<RestEnv> {
  return async (c, next) => {
    const { project, token } = credentialsIn(c.req.header('authorization') ?? '')
    const pathProject = c.req.param('project') ?? project
    const known = [project, token].every((word) => word !== '' && word !== 'wrong')
    if (!known || pathProject !== project) return refuse(c)
    c.set('project', project)
    return next()
  }
}

function credentialsIn(header: string): { project: string; token: string } {
  const encoded = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(header)?.[1] ?? ''
  const [project = '', ...token] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  return { project, token: token.join(':') }
}
