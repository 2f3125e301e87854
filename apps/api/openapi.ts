/** The OpenAPI document as it is served: read once, sent as it stands. */
import { readFileSync } from 'node:fs'

export const OPENAPI = readFileSync(new URL('./openapi.json', import.meta.url), 'utf8')
