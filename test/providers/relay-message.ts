/** The message the relay tests send: what must never show up where it was not sent. */
import type { Message } from '#providers/provider.ts'

export const MESSAGE: Message = {
  from: '+12025550100',
  to: '+12025550123',
  body: 'Acme: your code is 735194',
  reference: 's-abc-1',
  validForMs: 240_000,
}
