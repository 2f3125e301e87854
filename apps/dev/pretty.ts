// How `npm start` shows what its programs write: pino's JSON lines made readable, any other line as it is, each behind
// the coloured name of its program.

import { prettyFactory } from 'pino-pretty'

const COLOURS = [36, 35, 33, 32]

/** @param write takes whole lines; @param colour whether it understands colours */
export function createPrinter(options: { names: string[]; colour: boolean; write: (text: string) => void }) {
  const { names, colour, write } = options
  const width = Math.max(...names.map((name) => name.length))
  const readable = prettyFactory({
    colorize: colour,
    ignore: 'pid,hostname,program',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  })
  return (name: string, line: string): void => {
    const label = name.padEnd(width)
    const prefix = colour ? `\x1b[${COLOURS[names.indexOf(name) % COLOURS.length]}m${label}\x1b[0m` : label
    for (const shown of readable(line).trimEnd().split('\n')) write(`${prefix} │ ${shown}\n`)
  }
}
