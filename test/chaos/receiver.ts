/** Where events are told: notes each one that is taken, and whether it was signed as the standard has it. */
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import { createDoor } from './door.ts'
import type { Told } from './history.ts'

export const SECRET = `whsec_${Buffer.alloc(32, 'webhook secret of chaos').toString('base64')}`

export async function createReceiver() {
  const told: Told[] = []
  const webhook = new Webhook(SECRET)

  function note({ headers }: IncomingMessage, body: string): void {
    const { type, data } = JSON.parse(body)
    const verification = String(data.verification ?? '')
    try {
      webhook.verify(body, headers as Record<string, string>)
      told.push({ type, verification, signed: true })
    } catch {
      told.push({ type, verification, signed: false })
    }
  }

  const door = await createDoor(async (asked, response) => {
    try {
      note(asked, await text(asked))
      response.writeHead(204).end()
    } catch {
      // Cut off in the middle; it is told again.
      response.destroy()
    }
  })
  return { ...door, told }
}
