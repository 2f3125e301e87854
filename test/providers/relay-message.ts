/** The message the relay tests send: what must never show up where it was not sent. */
import type { TextMessage } from '#providers/provider.ts'

export const MESSAGE: TextMessage = {
  from: '+12025550100',
  to: '+12025550123',
  body: 'Acme: your code is 735194',
  reference: 's-abc-1',
  channel: 'sms',
  validForMs: 240_000,
}
