/**
 * A bounded memory: the last things known, the oldest forgotten first. For what never changes and costs to find out
 * again: a number is read several times within minutes (start, check, resend), and reading it costs more than all else
 * about a refusal.
 */
export type Memory<T> = { get(name: string): T | undefined; set(name: string, value: T): void }

export function createMemory<T>(max: number): Memory<T> {
  const known = new Map<string, T>()
  return {
    get: (name) => known.get(name),
    set(name, value) {
      if (known.size >= max) forgetOldest(known)
      known.set(name, value)
    },
  }
}

/** A pure function that remembers its last answers. */
export function remember<T>(max: number, read: (text: string) => T): (text: string) => T {
  const answers = createMemory<T>(max)
  return (text) => {
    const known = answers.get(text)
    if (known !== undefined) return known
    const answer = read(text)
    answers.set(text, answer)
    return answer
  }
}

function forgetOldest(known: Map<string, unknown>): void {
  for (const oldest of known.keys()) {
    known.delete(oldest)
    return
  }
}
