/** The OpenAPI document against the API itself: the same routes, the same codes, sound examples. */
import { describe, expect, it } from 'vitest'
import { PROBLEMS } from '#api/problem.ts'
import { useRedis } from '#test/fixtures/redis.ts'
import { EVENT_TYPES } from '#verification/event.ts'
import { LOCALES } from '#verification/message.ts'
import { apiOn } from './api.ts'
import { brokenReferences, document, eventTypes, examples, operations, problemCodes } from './document.ts'

const connection = useRedis()

describe('the document', () => {
  it('is OpenAPI 3.1, served as it stands', async () => {
    const response = await apiOn(connection.redis).get('/openapi.json')
    expect(response.headers.get('Content-Type')).toBe('application/json')
    expect(await response.json()).toStrictEqual(document)
    expect(document.openapi).toMatch(/^3\.1\.\d+$/)
  })

  it('names every route of the API with everything switched on, and no other', () => {
    const { app } = apiOn(connection.redis, { config: { pythonRoutes: true } })
    const routes = app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    const documented = operations().map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    expect(documented.toSorted()).toEqual([...new Set(routes)].toSorted())
  })

  it('names every problem code, and no other', () => {
    expect(problemCodes()).toEqual(Object.keys(PROBLEMS))
  })

  it('names every language of a message, and no other', () => {
    expect(document).toHaveProperty('components.schemas.VerificationFields.properties.locale.enum', LOCALES)
  })

  it('names every type of event, and no other', () => {
    expect(eventTypes()).toEqual(EVENT_TYPES)
  })

  it('has an id for every operation, and every reference leads somewhere', () => {
    const ids = operations().map(({ node }) => node.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    expect(brokenReferences()).toEqual([])
  })

  it('asks for a key on /v1 and nowhere else', () => {
    for (const { path, node } of operations()) {
      expect({ path, open: node.security }).toEqual({ path, open: path.startsWith('/v1/') ? undefined : [] })
    }
  })

  it('has examples that are right by their own schemas', () => {
    expect(examples().length).toBeGreaterThan(10)
    for (const example of examples()) expect(example).toEqual({ at: example.at, complaints: [] })
  })
})
