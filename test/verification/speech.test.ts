/** What a call says, language by language. */
import { describe, expect, it } from 'vitest'
import { codeOf } from '#test/fixtures/store.ts'
import { LOCALES } from '#verification/message.ts'
import { speechOf } from '#verification/speech.ts'

const said = (locale: string, code = '048291') => speechOf({ code: codeOf(code), brand: 'Example', locale })
const textsOf = ({ parts }: ReturnType<typeof said>) => parts.filter((part) => typeof part === 'string')

const LANGUAGES = [
  ...new Set([...LOCALES, 'en', 'es', 'fr', 'de', 'pt', 'it', 'nl', 'pl', 'ja', 'zh', 'hi', 'ar']),
]

describe.each(LANGUAGES)('in %s a call', (locale) => {
  it('says the digits one by one, twice, and all of it again after a longer pause', () => {
    const speech = said(locale)
    const texts = textsOf(speech)
    expect(texts).toHaveLength(4)
    for (const text of texts) expect(text).toContain('0. 4. 8. 2. 9. 1.')
    expect(texts.slice(2)).toEqual(texts.slice(0, 2))
    const pauses = speech.parts.filter((part) => typeof part === 'number')
    expect(pauses).toEqual([1, 3, 1])
  })

  it('names the brand, and never the code as one number', () => {
    const texts = textsOf(said(locale)).join(' ')
    expect(texts).toContain('Example')
    expect(texts).not.toMatch(/\d{2}/)
  })

  it('is spoken by a voice of that language', () => {
    expect(said(locale).language).toMatch(
      locale.startsWith('zh') ? /^cmn-/ : new RegExp(`^${locale}-[A-Z]{2}$`),
    )
  })
})

it('in a language nobody wrote yet a call is English', () => {
  expect(said('xx')).toEqual(said('en'))
})
