/**
 * The guide's page: one form that asks for a code and one that checks it. Works without a script; what went wrong
 * stands beside the field it is about.
 */
import { readFileSync } from 'node:fs'
import { html } from 'hono/html'
import { challengePart, challengeScript, type PageChallenge } from './page-challenge.ts'

export const STYLE = readFileSync(new URL('./page.css', import.meta.url), 'utf8')

export type PageState = {
  /** The number as the person typed it, kept in both forms. */
  number?: string
  numberError?: string
  checkNumberError?: string
  codeError?: string
  /** The masked number a code has just gone to. */
  sentTo?: string
  /** The masked number that has just been approved. */
  approved?: string
  /** What the person, or their browser, must do before a code is sent. */
  challenge?: PageChallenge
  /** What no field is at fault for. */
  fault?: string
}

type Markup = ReturnType<typeof html>

type Field = 'number' | 'check-number' | 'code'
/** Where the cursor waits. On the button nothing opens a keyboard over what a challenge says. */
type Focus = Field | 'send'

export function renderPage(state: PageState): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${titleOf(state)}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
${state.challenge === undefined ? '' : challengeScript(state.challenge)}
</head>
<body>
<main>
<header>
<h1>Verify your phone</h1>
${state.approved === undefined ? html`<p>We text you a six-digit code. Type it here to prove the number is yours.</p>` : ''}
</header>
${state.approved === undefined ? forms(state) : success(state.approved)}
</main>
</body>
</html>`
}

/** Read out first when the page changes. */
function titleOf(state: PageState): string {
  const { approved, sentTo, numberError, checkNumberError, codeError, challenge, fault } = state
  if (approved !== undefined) return 'Verified'
  if (sentTo !== undefined) return 'Type your code'
  return (numberError ?? checkNumberError ?? codeError ?? challenge?.error ?? fault)
    ? 'Error: Verify your phone'
    : 'Verify your phone'
}

/** Nothing is left to do: a form here, with the cursor in it, would open the keyboard over the good news. */
function success(approved: string): Markup {
  return html`<p class="notice good" role="status"><strong>Success!</strong> ${masked(approved)} is verified.</p>
<p><a href="/">Verify another number</a></p>`
}

/** The cursor waits in the field that is wrong, or comes next. */
function focusOf({ number, numberError, sentTo, codeError, checkNumberError, challenge }: PageState): Focus {
  if (checkNumberError !== undefined) return 'check-number'
  if (sentTo !== undefined || codeError !== undefined) return 'code'
  return challenge !== undefined && number !== undefined && numberError === undefined ? 'send' : 'number'
}

/** Whether the next step is the first form's. */
function isFirst(focus: Focus): boolean {
  return focus === 'number' || focus === 'send'
}

function forms(state: PageState): Markup {
  const focus = focusOf(state)
  const fault = state.fault === undefined ? '' : html`<p class="notice bad" role="alert">${state.fault}</p>`
  return html`${fault}
${requestForm(state, focus)}
${checkForm(state, focus)}`
}

function requestForm({ number, numberError, challenge }: PageState, focus: Focus): Markup {
  return html`<form method="post" action="/request-auth" aria-labelledby="request-title">
<h2 id="request-title"><span class="step" aria-hidden="true">1</span> Get a code</h2>
<label for="number">Phone number</label>
<input id="number" name="number" type="tel" autocomplete="tel" required maxlength="32" placeholder="+1 202 555 0100"
 value="${number ?? ''}"${describedBy('number', numberError)}${autofocus('number', focus)}>
${fieldError('number', numberError)}
${challenge === undefined ? '' : challengePart(challenge)}
<button type="submit"${isFirst(focus) ? '' : html` class="quiet"`}${autofocus('send', focus)}>Text me a code</button>
</form>`
}

function checkForm(state: PageState, focus: Focus): Markup {
  const { number, checkNumberError, codeError } = state
  return html`<form method="post" action="/validate-auth" aria-labelledby="check-title">
<h2 id="check-title"><span class="step" aria-hidden="true">2</span> Check the code</h2>
${sent(state)}
<label for="check-number">Phone number</label>
<input id="check-number" name="number" type="tel" autocomplete="tel" required maxlength="32" placeholder="+1 202 555 0100"
 value="${number ?? ''}"${describedBy('check-number', checkNumberError)}${autofocus('check-number', focus)}>
${fieldError('check-number', checkNumberError)}
<label for="code">Code</label>
<input id="code" class="code" name="auth_code" type="text" inputmode="numeric" autocomplete="one-time-code" required
 maxlength="16" placeholder="6 digits"${describedBy('code', codeError)}${autofocus('code', focus)}>
${fieldError('code', codeError)}
<button type="submit"${isFirst(focus) ? html` class="quiet"` : ''}>Check</button>
</form>`
}

/** Beside the field the code goes into: a phone scrolls there, past anything at the top of the page. */
function sent({ sentTo }: PageState): Markup | '' {
  if (sentTo === undefined) return ''
  return html`<p class="notice good" role="status"><strong>Your code was sent</strong> to ${masked(sentTo)}. It is valid for a few minutes.</p>`
}

function masked(number: string): Markup {
  return html`<span class="number">${number}</span>`
}

function fieldError(field: Field, error: string | undefined): Markup | '' {
  return error === undefined ? '' : html`<p class="error" id="${field}-error" role="alert">${error}</p>`
}

function describedBy(field: Field, error: string | undefined): Markup | '' {
  return error === undefined ? '' : html` aria-invalid="true" aria-describedby="${field}-error"`
}

function autofocus(field: Focus, focus: Focus): Markup | '' {
  return field === focus ? html` autofocus` : ''
}
