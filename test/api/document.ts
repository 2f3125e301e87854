/** Reads the OpenAPI document for its tests: operations, and the schema that an answer must have. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import { OPENAPI } from '#api/openapi.ts'

type Node = { [name: string]: unknown }

export const document: Node = JSON.parse(OPENAPI)

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/

// strict off: the document around the schemas is no schema.
const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  formats: { 'date-time': DATE_TIME, 'uri-reference': true },
})
ajv.addSchema(document, 'document')

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null
}

/** The place a JSON pointer names, following what stands there when it is a reference itself. */
function resolve(pointer: string): { pointer: string; node: Node } | undefined {
  let node: unknown = document
  for (const part of pointer.split('/').slice(1)) {
    if (!isNode(node)) return undefined
    node = node[part.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  if (!isNode(node)) return undefined
  return typeof node.$ref === 'string' ? resolve(node.$ref.slice(1)) : { pointer, node }
}

const escaped = (part: string) => part.replaceAll('~', '~0').replaceAll('/', '~1')

export type Operation = { path: string; method: string; node: Node }

export function operations(): Operation[] {
  const paths = resolve('/paths')?.node ?? {}
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(isNode(item) ? item : {})
      .filter(([method]) => method !== 'parameters')
      .map(([method, node]) => ({ path, method, node: isNode(node) ? node : {} })),
  )
}

/** What is wrong with a value by the schema at this pointer: nothing, when the list is empty. */
function complaints(pointer: string, value: unknown): string[] {
  const schema = escapedFragment(pointer)
  const validate = ajv.getSchema(schema) ?? ajv.compile({ $ref: schema })
  if (validate(value)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  )
}

function escapedFragment(pointer: string): string {
  return `document#${pointer.split('/').map(encodeURIComponent).join('/')}`
}

type Answer = { path: string; method: string; status: number; type: string; body: string; headers: Headers }

/** What the document has against an answer: a status, content type or header it does not know, or a wrong body. */
export function complaintsAbout({ path, method, status, type, body, headers }: Answer): string[] {
  const response = resolve(`/paths/${escaped(path)}/${method}/responses/${status}`)
  if (!response) return [`${method} ${path} does not document ${status}`]
  const missing = requiredHeaders(response.pointer).filter((name) => !headers.has(name))
  if (missing.length > 0) return [`${method} ${path} ${status} lacks ${missing.join()}`]
  const content = resolve(`${response.pointer}/content/${escaped(type)}`)
  if (!content)
    return response.node.content || type ? [`${method} ${path} ${status} does not document ${type}`] : []
  return complaints(`${content.pointer}/schema`, type.endsWith('json') ? JSON.parse(body) : body)
}

/** What the document has against an event. */
export function complaintsAboutEvent(event: unknown): string[] {
  return complaints('/components/schemas/Event', event)
}

function requiredHeaders(response: string): string[] {
  const headers = resolve(`${response}/headers`)?.node ?? {}
  return Object.keys(headers).filter((name) => resolve(`${response}/headers/${name}`)?.node.required === true)
}

/** Every example of a body, with what its own schema has against it. */
export function examples(): { at: string; complaints: string[] }[] {
  const found: { at: string; complaints: string[] }[] = []
  const look = (pointer: string, node: Node) => {
    for (const [name, child] of Object.entries(node)) {
      const at = `${pointer}/${escaped(name)}`
      if (name === 'examples' && isNode(node.schema) && isNode(child)) {
        for (const [example, holder] of Object.entries(child)) {
          const value = isNode(holder) ? holder.value : undefined
          found.push({ at: `${at}/${example}`, complaints: complaints(`${pointer}/schema`, value) })
        }
      } else if (isNode(child)) look(at, child)
    }
  }
  look('', document)
  return found
}

export function eventTypes(): unknown[] {
  return ['VerificationEvent', 'SendEvent', 'NumberEvent', 'LimitEvent'].flatMap(
    (schema) => resolve(`/components/schemas/${schema}/properties/type`)?.node.enum,
  )
}

export function problemCodes(): unknown {
  return resolve('/components/schemas/ProblemCode')?.node.enum
}

/** References that lead nowhere. */
export function brokenReferences(): string[] {
  const references = [...OPENAPI.matchAll(/"\$ref": "#([^"]+)"/g)].map(([, pointer = '']) => pointer)
  return references.filter((pointer) => resolve(pointer) === undefined)
}
