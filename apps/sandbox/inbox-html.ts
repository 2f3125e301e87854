/** The markup of the inbox page. A message is written once, here: the script clones the empty one and fills it in. */
import { html } from 'hono/html'
import { SHOWN_MAX } from './changes.ts'
import { SCENARIOS, type Scenario } from './scenarios.ts'
import { LATENCY_MS_MAX } from './settings.ts'
import type { View } from './view.ts'

const BLANK: View = {
  id: '',
  direction: 'outbound',
  to: '',
  phone: '',
  phoneText: '',
  otherText: '',
  body: '',
  code: '',
  channel: 'sms',
  state: 'queued',
  reason: '',
  at: '',
}

type Page = { messages: readonly View[]; phone: string | undefined; latencyMs: number }

export const inboxHtml = ({ messages, phone, latencyMs }: Page) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Sandbox inbox</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/inbox.css">
    <script src="/inbox.js" type="module"></script>
  </head>
  <body>
    <header class="top">
      <img src="/icon.svg" alt="" width="40" height="40">
      <div>
        <h1><a href="/">Sandbox inbox</a></h1>
        <p class="lead">A stand-in for SignalWire. <strong class="loud">Nothing leaves this machine:</strong> no SMS is sent, no phone rings.</p>
      </div>
    </header>
    <div class="columns">
      <main>
        <div class="bar">
          <h2>${phone === undefined ? 'All phones' : html`Phone <span class="number">${phone}</span>`}</h2>
          <p class="live" id="live" data-live="off" role="status" hidden></p>
          <noscript><a class="button" href="">Reload</a></noscript>
          ${phone === undefined ? '' : html`<a class="button" href="/">All phones</a>`}
          <form method="post" action="/clear"><button class="button">Empty inbox</button></form>
        </div>
        <p class="jump"><a href="#destinations">Numbers that behave differently</a></p>
        ${phone === undefined ? '' : answerHtml(phone)}
        <ol class="messages" id="messages" data-shown-max="${SHOWN_MAX}">${messages.map(messageHtml)}</ol>
        <p class="empty">
          <strong class="loud">Nothing has arrived yet.</strong>
          Ask for a code in the application: the message appears here the moment it is sent.
        </p>
        <p class="hint">The newest ${SHOWN_MAX} are shown. They live in memory and are gone at a restart.</p>
        <p class="unseen" id="announcement" aria-live="polite"></p>
        <template id="message">${messageHtml(BLANK)}</template>
      </main>
      <aside>
        <section id="destinations" aria-labelledby="destinations-title">
          <h2 id="destinations-title">Numbers that behave differently</h2>
          <p>
            The last four digits of a destination choose what happens to it:
            <span class="number loud">+1 202 555 0104</span> is rejected.
          </p>
          <table>
            <thead><tr><th scope="col">Ends in</th><th scope="col">What happens</th></tr></thead>
            <tbody>${SCENARIOS.map(scenarioHtml)}</tbody>
          </table>
        </section>
        <section id="settings" aria-labelledby="settings-title">
          <h2 id="settings-title">Latency</h2>
          <form class="latency" method="post" action="/settings">
            <label for="latency">Milliseconds to wait before every reply</label>
            <input id="latency" name="latency_ms" type="number" inputmode="numeric" required
              min="0" max="${LATENCY_MS_MAX}" value="${latencyMs}">
            <button class="button">Set</button>
          </form>
        </section>
      </aside>
    </div>
  </body>
</html>
`

const answerHtml = (phone: string) => html`
<form class="answer" id="answer" method="post" action="/answer">
  <label for="answer-body">Answer from this phone</label>
  <input type="hidden" name="from" value="${phone}">
  <input id="answer-body" name="body" required maxlength="1600" autocomplete="off" placeholder="STOP, START, HELP …">
  <button class="button">Send</button>
</form>`

const messageHtml = (message: View) => html`
<li class="message" data-id="${message.id}" data-direction="${message.direction}">
  <div class="line">
    <a class="phone number" href="${pageOf(message)}">${message.phoneText}</a>
    <span class="channel" data-channel="${message.channel}">${message.channel}</span>
    <time datetime="${message.at}">${message.at.slice(11, 19)} UTC</time>
  </div>
  <p class="body">${message.body}</p>
  <div class="found" ${message.code === '' ? 'hidden' : ''}>
    <span class="code">${message.code}</span>
    <button class="button copy" type="button" hidden>Copy</button>
  </div>
  <div class="line">
    <span class="state" data-state="${message.state}">${message.state}</span>
    <span class="reason">${message.reason}</span>
    <a class="reply" href="${pageOf(message)}#answer">Answer</a>
    <span class="other"><span class="way">${message.direction === 'inbound' ? 'to' : 'from'}</span>
      <span class="number">${message.otherText}</span></span>
  </div>
</li>`

const pageOf = ({ phone }: View) => `/?to=${encodeURIComponent(phone)}`

const scenarioHtml = ({ ending, title, story }: Scenario) => html`
<tr>
  <td><code>${ending}</code></td>
  <td><strong class="loud happens">${title}</strong> ${story}</td>
</tr>`
