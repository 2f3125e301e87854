/** Signatures, verified by the library that the standard's authors keep. */
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { parseSecret, signedHeaders } from '#webhooks/signature.ts'

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 'a secret of the tests').toString('base64')}`
const body = '{"type":"verification.approved","data":{"purpose":"login"}}'
const parsed = (text: string) => {
  const secret = parseSecret(text)
  if (!secret) throw new Error('no secret')
  return secret
}

describe('a signature', () => {
  it('is the one of the published example', () => {
    // https://github.com/standard-webhooks/standard-webhooks, spec: "Symmetric" example.
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    const signed = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      atMs: 1_614_265_330_000,
      body: '{"test": 2432232314}',
    }
    expect(signedHeaders(signed, [parsed(secret)])).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  it.each([24, 32, 64])('with a secret of %i bytes is taken by the library', (bytes) => {
    const secret = secretOf(bytes)
    const headers = signedHeaders({ id: 'evt_1', atMs: Date.now(), body }, [parsed(secret)])
    expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
  })

  it('during a rotation is taken under either secret, and under no third', () => {
    const [older, newer, other] = [secretOf(24), secretOf(32), secretOf(40)]
    const headers = signedHeaders({ id: 'evt_1', atMs: Date.now(), body }, [parsed(older), parsed(newer)])
    expect(headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/)
    expect(new Webhook(older).verify(body, headers)).toBeTruthy()
    expect(new Webhook(newer).verify(body, headers)).toBeTruthy()
    expect(() => new Webhook(other).verify(body, headers)).toThrow('No matching signature')
  })

  it.each(['webhook-id', 'webhook-timestamp'])('does not hold for another %s', (name) => {
    const secret = secretOf(32)
    const headers = signedHeaders({ id: 'evt_1', atMs: Date.now(), body }, [parsed(secret)])
    const other = name === 'webhook-id' ? 'evt_2' : String(Number(headers[name]) + 1)
    expect(() => new Webhook(secret).verify(body, { ...headers, [name]: other })).toThrow()
    expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow()
  })
})

describe('a secret', () => {
  it.each([
    ['of 23 bytes', secretOf(23)],
    ['of 65 bytes', secretOf(65)],
    ['without its prefix', secretOf(32).slice(6)],
    ['in base64url', `whsec_${Buffer.alloc(30, 0xff).toString('base64url')}`],
    ['with something behind it', `${secretOf(32)}=`],
    ['that is empty', 'whsec_'],
  ])('%s is none', (_, text) => {
    expect(parseSecret(text)).toBeUndefined()
  })
})
