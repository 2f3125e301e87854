/** The providers as the worker opens them: what somebody has to mend is heard of each by itself. */
import { expect, it, onTestFinished } from 'vitest'
import { silentLog } from '#test/fixtures/redis.ts'
import { type HttpRequest, startScriptedHttp } from '#test/fixtures/scripted-http.ts'
import { MESSAGE } from '#test/providers/relay-message.ts'
import { openProvider } from '#worker/providers.ts'

async function restThat(answers: (request: HttpRequest) => void) {
  const server = await startScriptedHttp(answers)
  const heard: unknown[] = []
  const { provider } = openProvider(
    {
      providers: ['rest'],
      signalwire: { project: 'p', token: 't', context: 'auth' },
      restUrl: server.url,
      publicUrl: '',
    },
    {
      onReceipt: () => {},
      onInbound: () => {},
      alarm: (said) => heard.push([said.provider, said.reason]),
      log: silentLog,
    },
  )
  onTestFinished(() => provider.close())
  return { heard, send: () => provider.send(MESSAGE, new AbortController().signal) }
}

it('refused credentials are heard, and are the outcome', async () => {
  const { heard, send } = await restThat((request) => request.json(401, { code: 20003 }))
  expect(await send()).toEqual({ kind: 'busy', reason: 'credentials_refused' })
  expect(heard).toContainEqual(['signalwire-rest', 'credentials_refused'])
})

it('a 404 is heard as a setting of ours', async () => {
  const { heard, send } = await restThat((request) => request.json(404, {}))
  expect(await send()).toEqual({ kind: 'busy', reason: 'misconfigured' })
  expect(heard).toContainEqual(['signalwire-rest', 'misconfigured'])
})

it('refused credentials are heard before anything is sent', async () => {
  const { heard } = await restThat((request) => request.json(401, { code: 20003 }))
  await expect.poll(() => heard).toEqual([['signalwire-rest', 'credentials_refused']])
})
