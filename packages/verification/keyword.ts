/**
 * What an incoming message asks of us: to stop, to start again, to say who we are, or nothing. 47 CFR 64.1200(a)(10)
 * names the words that must stop us, and other wording counts by what a reasonable person means (CTIA Messaging
 * Principles §5.1.3: ignore case and punctuation, natural language counts). So a keyword may have courtesies before it
 * and its object behind it; any other word beside it makes it a sentence about something else.
 */

export type Keyword = 'stop' | 'start' | 'help'

/**
 * An SMS that came to one of our numbers. `from` and `to` are as the carrier wrote them; `text` may hold a code or what
 * is nobody's business, and leaves the program by no road.
 */
export type Inbound = { messageId: string; from: string; to: string; text: string }

/**
 * `yes` is no keyword: it answers a question, and this service asks none. Taken for `start` it could undo a stop by a
 * word that was meant for something else.
 */
const KEYWORDS: Readonly<Record<Keyword, readonly string[]>> = {
  stop: [
    ...['stop', 'stopall', 'quit', 'end', 'revoke', 'optout', 'cancel', 'unsubscribe', 'remove'],
    ...['alto', 'parar', 'pare', 'basta', 'baja', 'cancelar', 'detener', 'nomas'],
    ...['arret', 'arreter', 'arretez', 'desabonner'],
    ...['stopp', 'abmelden', 'stoppen', 'afmelden', 'sair'],
  ],
  start: ['start', 'unstop', 'optin', 'subscribe', 'iniciar', 'empezar', 'commencer', 'demarrer'],
  help: ['help', 'info', 'ayuda', 'aide', 'hilfe', 'aiuto', 'hulp', 'ajuda'],
}

/** A message with several keywords is heeded by the first of these: to be asked to stop outweighs the rest. */
const PRECEDENCE: readonly Keyword[] = ['stop', 'help', 'start']

/** Several words that mean one, after case, marks and punctuation are gone. */
const PHRASES: readonly (readonly [phrase: RegExp, word: string])[] = [
  [/\bopt (?:me )?out\b/g, 'optout'],
  [/\bopt (?:me )?in\b/g, 'optin'],
  [/\bno mas\b/g, 'nomas'],
  [/\b(?:do not|don ?t) (?:text|message|contact|call|send)\b/g, 'stop'],
  [/\bleave me alone\b/g, 'stop'],
  [/\bthank you\b/g, 'thanks'],
  [/\b(?:por favor|per favore|s il (?:vous|te) plait)\b/g, 'please'],
]

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '))

/** May stand anywhere. */
const COURTESIES = words(
  'please pls plz kindly just thanks thx ty hi hello hey ok okay yes svp merci bonjour gracias hola bitte danke hallo grazie',
)

/** May follow a keyword: what is to stop, and how soon. `code` alone is not here: to cancel one code is not to opt out. */
const OBJECTS = words(
  'all now it this these the me my to from sending texting messaging calling contacting spamming bothering ' +
    'text texts message messages msg msgs sms codes number again anymore ever forever already immediately',
)

/** A keyword stands at the front; what is longer is a sentence. */
const READ_MAX = 320

export function readKeyword(text: string): Keyword | 'none' {
  const plain = plainOf(text.slice(0, READ_MAX))
  const [firstSentence = ''] = plain.trimStart().split(/[.!?;\r\n]/)
  return keywordIn(plain) ?? keywordIn(firstSentence) ?? 'none'
}

/** Without case, full-width forms, accents and invisible characters. */
function plainOf(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}]/gu, '')
    .toLowerCase()
}

function keywordIn(text: string): Keyword | undefined {
  const [first, ...others] = wordsIn(text).filter((word) => !COURTESIES.has(word))
  const asked = first === undefined ? undefined : kindOf(first)
  if (!asked) return undefined
  const kinds = others.map((word) => (OBJECTS.has(word) ? asked : kindOf(word)))
  return kinds.includes(undefined) ? undefined : PRECEDENCE.find((kind) => [asked, ...kinds].includes(kind))
}

function wordsIn(text: string): string[] {
  const apart = text.match(/[\p{L}\p{N}]+/gu) ?? []
  // S.T.O.P.
  if (apart.length > 1 && apart.every((word) => word.length === 1)) return [apart.join('')]
  return PHRASES.reduce((line, [phrase, word]) => line.replace(phrase, word), apart.join(' ')).split(' ')
}

function kindOf(word: string): Keyword | undefined {
  return PRECEDENCE.find((kind) => KEYWORDS[kind].includes(word))
}
