/**
 * Reads environment variables for the programs' config.ts files. Collects every mistake, each by the variable's name
 * and what it should be, never by its value; a secret may come from a file named by NAME_FILE.
 */
import { readFileSync } from 'node:fs'

export type Environment = Readonly<Record<string, string | undefined>>

/** A way to read one kind of value; `undefined` means that the text is not one. */
export type Kind<T> = { expected: string; parse(text: string): T | undefined }

export type Reader = ReturnType<typeof createReader>

export function createReader(env: Environment) {
  const problems: string[] = []

  function text(name: string): string | undefined {
    const value = env[name]
    return value === undefined || value === '' ? undefined : value
  }

  /** The value of NAME, or the content of the file that NAME_FILE names. */
  function secretText(name: string): string | undefined {
    const file = text(`${name}_FILE`)
    if (file === undefined) return text(name)
    if (text(name) !== undefined) problems.push(`${name}: set either ${name} or ${name}_FILE, not both`)
    try {
      const content = readFileSync(file, 'utf8').trim()
      if (content !== '') return content
      problems.push(`${name}_FILE: the file it names is empty`)
    } catch {
      problems.push(`${name}_FILE: the file it names cannot be read`)
    }
    return undefined
  }

  function parsed<T>(name: string, value: string | undefined, kind: Kind<T>, fallback: T): T {
    if (value === undefined) return fallback
    const result = kind.parse(value)
    if (result !== undefined) return result
    problems.push(`${name}: must be ${kind.expected}`)
    return fallback
  }

  // A misspelt `production` must not open what production closes.
  parsed('NODE_ENV', text('NODE_ENV'), oneOf('production', 'development', 'test'), 'development')

  return {
    problems,
    production: env.NODE_ENV === 'production',
    problem(name: string, what: string): void {
      problems.push(`${name}: ${what}`)
    },
    /** Whether the variable, or its NAME_FILE twin, says anything. */
    has: (name: string): boolean => text(name) !== undefined || text(`${name}_FILE`) !== undefined,
    value: <T>(name: string, kind: Kind<T>, fallback: T): T => parsed(name, text(name), kind, fallback),
    secret: <T>(name: string, kind: Kind<T>, fallback: T): T =>
      parsed(name, secretText(name), kind, fallback),
  }
}

export function integer(min: number, max: number): Kind<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    parse(text) {
      const value = Number(text)
      return /^[0-9]{1,15}$/.test(text) && value >= min && value <= max ? value : undefined
    },
  }
}

/** A port to listen at, 0 for any free one; or none. */
export const port: Kind<number> = integer(0, 65_535)
export const portOrOff: Kind<number | 'off'> = {
  expected: `${port.expected}, or off`,
  parse: (text) => (text === 'off' ? text : port.parse(text)),
}

export function oneOf<const T extends string>(...values: readonly T[]): Kind<T> {
  return { expected: values.join(' or '), parse: (text) => values.find((value) => value === text) }
}

/** `on` or `off`. */
export const toggle: Kind<boolean> = {
  expected: 'on or off',
  parse: (text) => (text === 'on' ? true : text === 'off' ? false : undefined),
}

export function listOf<T>(kind: Kind<T>): Kind<T[]> {
  return {
    expected: `a comma-separated list, each ${kind.expected}`,
    parse(text) {
      const items = text.split(',').map((item) => kind.parse(item.trim()))
      return items.every((item) => item !== undefined) ? items : undefined
    },
  }
}

export function url(...protocols: readonly string[]): Kind<string> {
  return {
    expected: `an address that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    parse: (text) => (URL.canParse(text) && protocols.includes(new URL(text).protocol) ? text : undefined),
  }
}

export const anyText: Kind<string> = { expected: 'some text', parse: (text) => text }

/** Says every mistake and ends the program: nothing may start on half a configuration. */
export function refuseToStart(program: string, problems: readonly string[]): never {
  const list = problems.map((problem) => `  - ${problem}`).join('\n')
  process.stderr.write(`${program} cannot start, its configuration is wrong:\n${list}\nSee example.env.\n`)
  process.exit(1)
}
