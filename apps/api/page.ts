/**
 * The guide's page: one form that asks for a code and one that checks it. Works without a script; what went wrong
 * stands beside the field it is about.
 */
import { readFileSync } from 'node:fs'
import { html } from 'hono/html'

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
  /** Something on our side. */
  fault?: string
}

type Markup = ReturnType<typeof html>

export function renderPage(state: PageState): Markup {
  const checking = state.sentTo !== undefined || state.codeError !== undefined
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${state.approved ? 'Verified' : 'Verify your phone'}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
</head>
<body>
<main>
<header>
<h1>Verify your phone</h1>
<p>We text you a six-digit code. Type it here to prove the number is yours.</p>
</header>
${notice(state)}
${requestForm(state, !checking)}
${checkForm(state, checking)}
</main>
</body>
</html>`
}

function notice({ approved, sentTo, fault }: PageState): Markup | '' {
  if (fault !== undefined) return html`<p class="notice bad" role="alert">${fault}</p>`
  if (approved !== undefined) {
    return html`<p class="notice good" role="status"><strong>Success!</strong> ${approved} is verified.</p>`
  }
  if (sentTo === undefined) return ''
  return html`<p class="notice good" role="status"><strong>Your code was sent</strong> to ${sentTo}. It is valid for a few minutes.</p>`
}

function requestForm({ number, numberError }: PageState, focus: boolean): Markup {
  return html`<form method="post" action="/request-auth" aria-labelledby="request-title">
<h2 id="request-title"><span class="step" aria-hidden="true">1</span> Get a code</h2>
<label for="number">Phone number</label>
<input id="number" name="number" type="tel" autocomplete="tel" required maxlength="32" placeholder="+1 202 555 0100"
 value="${number ?? ''}"${describedBy('number', numberError)}${autofocus(focus)}>
${fieldError('number', numberError)}
<button type="submit">Text me a code</button>
</form>`
}

function checkForm({ number, checkNumberError, codeError }: PageState, focus: boolean): Markup {
  return html`<form method="post" action="/validate-auth" aria-labelledby="check-title">
<h2 id="check-title"><span class="step" aria-hidden="true">2</span> Check the code</h2>
<label for="check-number">Phone number</label>
<input id="check-number" name="number" type="tel" autocomplete="tel" required maxlength="32" placeholder="+1 202 555 0100"
 value="${number ?? ''}"${describedBy('check-number', checkNumberError)}>
${fieldError('check-number', checkNumberError)}
<label for="code">Code</label>
<input id="code" class="code" name="auth_code" type="text" inputmode="numeric" autocomplete="one-time-code" required
 maxlength="16" placeholder="123456"${describedBy('code', codeError)}${autofocus(focus)}>
${fieldError('code', codeError)}
<button type="submit">Check</button>
</form>`
}

function fieldError(field: string, error: string | undefined): Markup | '' {
  return error === undefined ? '' : html`<p class="error" id="${field}-error" role="alert">${error}</p>`
}

function describedBy(field: string, error: string | undefined): Markup | '' {
  return error === undefined ? '' : html` aria-invalid="true" aria-describedby="${field}-error"`
}

function autofocus(focus: boolean): Markup | '' {
  return focus ? html` autofocus` : ''
}
