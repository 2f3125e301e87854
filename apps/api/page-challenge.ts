/**
 * The challenge on the guide's page: a proof of work that a script of ours solves while a bar shows how far it is, or
 * the widget of a CAPTCHA; and what the page's policy must let through for it. Without a script a sentence says what to
 * do.
 */
import { readFileSync } from 'node:fs'
import { html } from 'hono/html'
import type { Widget } from '#captcha/captcha.ts'
import type { Challenge } from '#verification/challenge.ts'

export const SCRIPT = readFileSync(new URL('./challenge.js', import.meta.url), 'utf8')

export type PageChallenge = { error?: string } & (
  | {
      kind: 'proof'
      challenge: Challenge
      /** Solved as soon as the page is there; else when the person asks again, so that nothing goes round for ever. */
      atOnce: boolean
    }
  | { kind: 'captcha'; widget: Widget }
)

type Markup = ReturnType<typeof html>

const OWN_SCRIPT = { 'script-src': "'self'", 'worker-src': "'self'" }

/** What the page's policy must let through besides its style, by directive. */
export function sourcesOf(challenge: PageChallenge): Readonly<Record<string, string>> {
  return challenge.kind === 'proof' ? OWN_SCRIPT : challenge.widget.sources
}

export function challengeScript(challenge: PageChallenge): Markup {
  return challenge.kind === 'proof'
    ? html`<script src="/challenge.js" defer></script>`
    : html`<script src="${challenge.widget.script}" async defer></script>`
}

/** Stands in the form, above its button. */
export function challengePart(challenge: PageChallenge): Markup {
  return challenge.kind === 'proof' ? proofPart(challenge) : captchaPart(challenge)
}

function proofPart({ challenge, atOnce, error }: PageChallenge & { kind: 'proof' }): Markup {
  return html`<div class="challenge" data-token="${challenge.token}" data-bits="${challenge.bits}"${atOnce ? html` data-at-once` : ''}>
<input type="hidden" name="challenge_token">
<input type="hidden" name="challenge_solution">
${errorPart(error)}
<noscript><p class="error">To get a code now, turn on JavaScript and press the button again: your browser has a little work to do first.</p></noscript>
<p class="progress" role="status"></p>
<progress max="1" value="0" aria-label="How far your browser is" hidden></progress>
</div>`
}

function captchaPart({ widget, error }: PageChallenge & { kind: 'captcha' }): Markup {
  return html`<div class="challenge">
${errorPart(error)}
<p>Show that you are not a robot, then press the button.</p>
<div class="${widget.className}" data-sitekey="${widget.siteKey}"></div>
<noscript><p class="error">To get a code now, turn on JavaScript and load this page again: the check against robots needs it.</p></noscript>
</div>`
}

function errorPart(error: string | undefined): Markup | '' {
  return error === undefined ? '' : html`<p class="error" role="alert">${error}</p>`
}
