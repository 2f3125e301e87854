/** A payment over HTTP: given to the start, repeated at the check, refused where it is none, and never shown. */
import { describe, expect, it } from 'vitest'
import { useRedis } from '#test/fixtures/redis.ts'
import { freshDestination } from '#test/fixtures/store.ts'
import { apiOn, expectProblem, jsonOf } from './api.ts'

const connection = useRedis()
const START = '/v1/verifications'
const PAYMENT = { amount: '1249.90', currency: 'EUR', payee: 'Corner Shop' }

async function started() {
  const api = apiOn(connection.redis)
  const to = freshDestination()
  const answer = await jsonOf(await api.post(START, { to, context: PAYMENT }), 202)
  return { api, to, answer, id: String(answer.id), code: await api.codeOf(String(answer.id)) }
}

it('a payment is in no answer and in no line of the log', async () => {
  const { api, answer, id } = await started()
  const read = await jsonOf(await api.get(`${START}/${id}`), 200)
  const said = JSON.stringify([answer, read, api.lines])
  for (const plain of ['1249', 'EUR', 'Corner']) expect(said).not.toContain(plain)
})

it.each(['by id', 'by number'])('a check %s must repeat it', async (how) => {
  const { api, to, id, code } = await started()
  const check = (body: object) =>
    how === 'by id' ? api.post(`${START}/${id}/checks`, body) : api.post('/v1/checks', { to, ...body })
  expect(await jsonOf(await check({ code }), 200)).toMatchObject({ result: 'wrong', checks_left: 4 })
  const other = { ...PAYMENT, amount: '9' }
  expect(await jsonOf(await check({ code, context: other }), 200)).toMatchObject({ result: 'wrong' })
  expect(await jsonOf(await check({ code, context: PAYMENT }), 200)).toMatchObject({ result: 'approved' })
})

describe('what is no payment is 400 and not counted', () => {
  it.each<[string, unknown]>([
    ['context', 'EUR 5'],
    ['context.amount', { ...PAYMENT, amount: 5 }],
    ['context.amount', { ...PAYMENT, amount: '5,00' }],
    ['context.currency', { ...PAYMENT, currency: 'euro' }],
    ['context.payee', { ...PAYMENT, payee: 'a\nb' }],
    ['context.payee', { amount: '5', currency: 'EUR' }],
    ['context.note', { ...PAYMENT, note: 'x' }],
  ])('%s: %j', async (field, context) => {
    const { api, to, id, code } = await started()
    for (const response of [
      await api.post(START, { to: freshDestination(), context }),
      await api.post(`${START}/${id}/checks`, { code, context }),
      await api.post('/v1/checks', { to, code, context }),
    ]) {
      expect(await expectProblem(response, 400, 'invalid_request')).toMatchObject({ errors: [{ field }] })
    }
    expect(await jsonOf(await api.get(`${START}/${id}`), 200)).toMatchObject({ checks_left: 5 })
  })
})
