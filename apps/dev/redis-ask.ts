// Asks a Redis on this machine one thing in the inline form of its protocol, before any client library is loaded.

import { connect } from 'node:net'

const DEADLINE_MS = 1000

/** The reply's text, or undefined when nobody answers or the answer is a refusal. */
export function askRedis(port: number, question: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let reply = ''
    const socket = connect({ host: '127.0.0.1', port, timeout: DEADLINE_MS })
    const finish = (answer: string | undefined) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setEncoding('latin1') // one character a byte, as the protocol counts
    socket.once('connect', () => socket.write(`${question}\r\n`))
    socket.on('data', (text) => {
      reply += text
      const answer = whole(reply)
      if (answer !== undefined) finish(answer.refused ? undefined : answer.text)
    })
    socket.once('timeout', () => finish(undefined))
    socket.once('error', () => finish(undefined))
    socket.once('close', () => finish(undefined))
  })
}

function whole(reply: string): { refused: boolean; text: string } | undefined {
  const end = reply.indexOf('\r\n')
  if (end === -1) return undefined
  const head = reply.slice(1, end)
  if (reply[0] !== '$') return { refused: reply[0] === '-', text: head }
  const text = reply.slice(end + 2, end + 2 + Number(head))
  return text.length === Number(head) ? { refused: false, text } : undefined
}
