/**
 * Remembers the last answers of a pure function: a number is asked about several times within minutes (start, check,
 * resend), and reading one costs more than all else about a refusal.
 */
export function remember<T>(max: number, read: (text: string) => T): (text: string) => T {
  const answers = new Map<string, T>()
  return (text) => {
    const known = answers.get(text)
    if (known !== undefined) return known
    const answer = read(text)
    if (answers.size >= max) forgetOldest(answers)
    answers.set(text, answer)
    return answer
  }
}

function forgetOldest(answers: Map<string, unknown>): void {
  for (const oldest of answers.keys()) {
    answers.delete(oldest)
    return
  }
}
