// Says on stderr what is going on whenever something takes longer than a second: one line that counts the seconds on a
// terminal, two plain lines elsewhere. Work that is quicker says nothing.

const QUIET_MS = 1000

/**
 * @template T
 * @param {string} what a sentence in progress, without its dots
 * @param {() => Promise<T>} work
 * @param {{ done?: boolean, out?: { isTTY?: boolean, write(text: string): unknown } }} [options] done: false leaves the
 *   last word to the caller
 * @returns {Promise<T>}
 */
export async function during(what, work, { done = true, out = process.stderr } = {}) {
  const startedMs = Date.now()
  const seconds = () => Math.round((Date.now() - startedMs) / 1000)
  let shown = false
  const show = () => {
    if (out.isTTY) out.write(`\r\x1b[2K› ${what} … ${seconds()} s`)
    else if (!shown) out.write(`› ${what} …\n`)
    shown = true
  }
  const timer = setInterval(show, QUIET_MS)
  try {
    const result = await work()
    if (shown && out.isTTY) out.write('\r\x1b[2K')
    if (shown && done) out.write(`› ${what}: done in ${seconds()} s\n`)
    return result
  } catch (error) {
    if (shown && out.isTTY) out.write('\n')
    throw error
  } finally {
    clearInterval(timer)
  }
}

/** An end that needs no stack trace: its message is one clear sentence with what to do. */
export class Stop extends Error {
  /** @override */
  name = 'Stop'
}

/** This way is closed, and why; another one may be open. */
export class Unusable extends Error {
  /** @override */
  name = 'Unusable'
}
