// @ts-nocheck: it runs in a browser, whose types the rest of the project must not see.
/** Keeps the inbox page current: follows the stream, fills in messages, copies codes, answers. It works without. */

const list = document.getElementById('messages')
const live = document.getElementById('live')
const announcement = document.getElementById('announcement')
const template = document.getElementById('message')
const shownMax = Number(list.dataset.shownMax)

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

function follow() {
  const to = new URLSearchParams(location.search).get('to')
  const query = to ? `?to=${encodeURIComponent(to)}` : ''
  const stream = new EventSource(`/api/messages/stream${query}`)
  stream.addEventListener('open', () => showLive('on', 'Live'))
  stream.addEventListener('error', () => showLive('off', 'Reconnecting…'))
  stream.addEventListener('snapshot', (event) => showAll(JSON.parse(event.data)))
  stream.addEventListener('messages', (event) => showChanged(JSON.parse(event.data)))
}

function showLive(state, text) {
  live.hidden = false
  live.dataset.live = state
  live.textContent = text
}

/** @param messages all there are, oldest first */
function showAll(messages) {
  const known = byId()
  const rows = messages.map((message) => fill(known.get(message.id) ?? blank(), message))
  list.replaceChildren(...rows.reverse())
}

/** @param messages new or changed, oldest first */
function showChanged(messages) {
  const known = byId()
  for (const message of messages) {
    const row = known.get(message.id)
    if (row) fill(row, message)
    else arrive(message)
  }
  while (list.children.length > shownMax) list.lastElementChild.remove()
}

function arrive(message) {
  const row = fill(blank(), message)
  row.classList.add('new')
  list.prepend(row)
  if (message.direction === 'inbound') return
  announcement.textContent = `New ${message.channel} to ${message.phoneText}: ${message.body}`
}

function byId() {
  return new Map([...list.children].map((row) => [row.dataset.id, row]))
}

function blank() {
  return template.content.firstElementChild.cloneNode(true)
}

function fill(row, message) {
  const part = (name) => row.querySelector(`.${name}`)
  row.dataset.id = message.id
  row.dataset.direction = message.direction
  part('phone').textContent = message.phoneText
  part('phone').href = `/?to=${encodeURIComponent(message.phone)}`
  part('reply').href = `${part('phone').href}#answer`
  part('channel').textContent = part('channel').dataset.channel = message.channel
  part('body').textContent = message.body
  part('found').hidden = message.code === ''
  part('code').textContent = message.code
  part('copy').hidden = false
  part('state').textContent = part('state').dataset.state = message.state
  part('reason').textContent = message.reason
  part('way').textContent = message.direction === 'inbound' ? 'to' : 'from'
  part('other').querySelector('.number').textContent = message.otherText
  const time = row.querySelector('time')
  time.dateTime = message.at
  time.textContent = clock.format(new Date(message.at))
  return row
}

list.addEventListener('click', async (event) => {
  const button = event.target.closest('.copy')
  if (!button) return
  const code = button.parentElement.querySelector('.code')
  button.textContent = (await copied(code)) ? 'Copied' : 'Selected'
  setTimeout(() => {
    button.textContent = 'Copy'
  }, 1500)
})

/** Selects the code too, for browsers that give no clipboard to a page without TLS. */
async function copied(element) {
  getSelection().selectAllChildren(element)
  try {
    await navigator.clipboard.writeText(element.textContent)
    return true
  } catch {
    return false
  }
}

const answer = document.getElementById('answer')

/** Sends without leaving the page; what is sent comes back on the stream. */
answer?.addEventListener('submit', async (event) => {
  event.preventDefault()
  const body = new URLSearchParams(new FormData(answer))
  await fetch(answer.action, { method: 'POST', body })
  answer.reset()
})

follow()
