/** SignalWire's error codes: every vector file is a rule, its name says which, and each code means it at every door. */
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createCallbackReader } from '#providers/signalwire-callbacks.ts'
import { outcomeOfRejection, receiptOf } from '#providers/signalwire-replies.ts'
import { createSignalWireRest } from '#providers/signalwire-rest.ts'
import { type ScriptedHttp, startScriptedHttp } from '#test/fixtures/scripted-http.ts'
import { MESSAGE } from './relay-message.ts'

type Vectors = { expected: { kind: string; reason: string }; codes: string[] }

const FOLDER = new URL('../vectors/provider-codes/', import.meta.url)
const FORM = 'application/x-www-form-urlencoded'
const KEY = 'signing key'

const rules = readdirSync(FOLDER).map((file) => ({
  rule: file.replace('.json', '').replaceAll('-', ' '),
  vectors: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Vectors,
}))

const isName = (code: string) => !/^\d+$/.test(code)

async function sendTo(server: ScriptedHttp): Promise<unknown> {
  const provider = createSignalWireRest({ project: 'p', token: 't', baseUrl: server.url })
  onTestFinished(() => provider.close())
  return provider.send(MESSAGE, new AbortController().signal)
}

function reasonInCallback(contentType: string, body: string, base: string): unknown {
  const read = createCallbackReader({ publicUrl: 'https://2fa.example.com', signingKeys: [KEY] })
  const target = '/callbacks/signalwire'
  const mac = createHmac('sha1', KEY).update(`https://2fa.example.com${target}${base}`)
  const signature = mac.digest(contentType === FORM ? 'base64' : 'hex')
  const said = read({ target, contentType, signature, body })
  return said.kind === 'receipt' && said.receipt.reason
}

describe.each(rules)('$rule', ({ vectors: { codes, expected } }) => {
  test.each(codes)('%s in an answer to a message', async (code) => {
    const body = isName(code) ? { errors: [{ code }] } : { code: Number(code) }
    expect(await sendTo(await startScriptedHttp((request) => request.json(400, body)))).toEqual(expected)
  })

  test.each(codes)('%s in a refusal on the websocket', (code) => {
    expect(outcomeOfRejection({ code, message: 'text' })).toEqual(expected)
  })

  test.each(codes)('%s in a callback', (code) => {
    const fields = { ErrorCode: code, MessageSid: 'm', MessageStatus: 'undelivered' }
    const form = String(new URLSearchParams(fields))
    expect(reasonInCallback(FORM, form, Object.entries(fields).flat().join(''))).toBe(expected.reason)
    const json = JSON.stringify({ id: 'm', status: 'failed', error_code: code, error_message: 'Some words' })
    expect(reasonInCallback('application/json', json, json)).toBe(expected.reason)
  })

  test.each(codes)('%s as the reason of a state on the websocket', (code) => {
    for (const reason of [code, code.toUpperCase().replaceAll('_', ' ')]) {
      expect(receiptOf({ id: 'm', state: 'failed', reason })).toEqual({
        messageId: 'm',
        state: 'failed',
        reason: expected.reason,
      })
    }
  })
})
