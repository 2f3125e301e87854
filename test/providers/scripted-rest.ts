/** A scripted HTTP server as SignalWire's REST: what asks whether it is well is answered, and kept apart from orders. */
import { type HttpRequest, startScriptedHttp } from '#test/fixtures/scripted-http.ts'

const isProbe = ({ method, url }: HttpRequest) => method === 'GET' && url.endsWith('/Messages?PageSize=1')
const well = (request: HttpRequest) => request.json(200, { messages: [] })

export async function startScriptedRest(onRequest: (request: HttpRequest) => void) {
  const server = await startScriptedHttp((request) =>
    isProbe(request) ? rest.onProbe(request) : rest.onRequest(request),
  )
  const rest = {
    url: server.url,
    onRequest,
    onProbe: well,
    down: server.down,
    up: server.up,
    get requests() {
      return server.requests.filter((request) => !isProbe(request))
    },
    get probes() {
      return server.requests.filter(isProbe)
    },
  }
  return rest
}
