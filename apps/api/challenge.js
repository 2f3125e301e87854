// @ts-nocheck: it runs in a browser, whose types the rest of the project must not see.
/**
 * Solves a proof of work: on the page it starts itself again as a worker, so that nothing freezes, shows how far it is,
 * and sends the form when it is done. As a worker it takes {token, bits} and answers {tries} now and then, and at last
 * {solution}: a counter such that SHA-256(token + '.' + counter) begins with `bits` zero bits.
 */

/** FIPS 180-4 §4.2.2 and §5.3.3. */
const ROUND = Int32Array.from([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
])
const INITIAL = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]

const BLOCK = 64
const ZERO = 48
const NINE = 57
/** Between two news of how far it is: some tens of milliseconds. */
const TRIES_A_REPORT = 16_384

const schedule = new Int32Array(64)

/** FIPS 180-4 §6.2.2: `state` moves on by the block of `bytes` at `at`. */
function compress(state, bytes, at) {
  for (let t = 0, i = at; t < 16; t += 1, i += 4) {
    schedule[t] = (bytes[i] << 24) | (bytes[i + 1] << 16) | (bytes[i + 2] << 8) | bytes[i + 3]
  }
  for (let t = 16; t < 64; t += 1) {
    const x = schedule[t - 15]
    const y = schedule[t - 2]
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    schedule[t] = schedule[t - 16] + s0 + schedule[t - 7] + s1
  }
  let a = state[0]
  let b = state[1]
  let c = state[2]
  let d = state[3]
  let e = state[4]
  let f = state[5]
  let g = state[6]
  let h = state[7]
  for (let t = 0; t < 64; t += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const one = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[t] + schedule[t]) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + one) | 0
    d = c
    c = b
    b = a
    a = (one + two) | 0
  }
  state[0] += a
  state[1] += b
  state[2] += c
  state[3] += d
  state[4] += e
  state[5] += f
  state[6] += g
  state[7] += h
}

/** Only the end of the text changes from try to try: the blocks before it are hashed once. */
function solve(token, bits, report) {
  const prefix = Uint8Array.from(`${token}.`, (sign) => sign.charCodeAt(0))
  const middle = Int32Array.from(INITIAL)
  const whole = prefix.length - (prefix.length % BLOCK)
  for (let at = 0; at < whole; at += BLOCK) compress(middle, prefix, at)

  const start = prefix.length - whole
  const tail = new Uint8Array(2 * BLOCK)
  tail.set(prefix.subarray(whole))
  tail[start] = ZERO
  let digits = 1
  let length = pad(tail, start + digits, whole)
  const state = new Int32Array(8)
  for (let tries = 1; ; tries += 1) {
    state.set(middle)
    for (let at = 0; at < length; at += BLOCK) compress(state, tail, at)
    if (Math.clz32(state[0]) >= bits) {
      return String.fromCharCode(...tail.subarray(start, start + digits))
    }
    if (tries % TRIES_A_REPORT === 0) report(tries)
    if (!increment(tail, start, digits)) {
      digits += 1
      length = pad(tail, start + digits, whole)
    }
  }
}

/** Ends the text after `used` bytes of the tail (FIPS 180-4 §5.1.1); answers the bytes of the tail there are to hash. */
function pad(tail, used, before) {
  const length = used + 9 <= BLOCK ? BLOCK : 2 * BLOCK
  tail.fill(0, used)
  tail[used] = 0x80
  new DataView(tail.buffer).setUint32(length - 4, (before + used) * 8)
  return length
}

/** Counts up in decimal, in place; false when that took another digit, which is then there. */
function increment(tail, start, digits) {
  for (let at = start + digits - 1; at >= start; at -= 1) {
    if (tail[at] < NINE) {
      tail[at] += 1
      return true
    }
    tail[at] = ZERO
  }
  tail[start] = ZERO + 1
  tail[start + digits] = ZERO
  return false
}

function work() {
  self.onmessage = ({ data: { token, bits } }) => {
    const solution = solve(token, bits, (tries) => self.postMessage({ tries }))
    self.postMessage({ solution })
  }
}

function page(part) {
  const form = part.closest('form')
  const number = form.elements.namedItem('number')
  const button = form.querySelector('button')
  const text = part.querySelector('.progress')
  const bar = part.querySelector('progress')
  const { token } = part.dataset
  const bits = Number(part.dataset.bits)

  function begin() {
    if (button.disabled) return
    button.disabled = true
    number.readOnly = true
    bar.hidden = false
    text.textContent =
      'One moment: your browser does a little work first, so that no robot asks for codes by the thousand.'
    const worker = new Worker('/challenge.js')
    worker.onmessage = ({ data }) => (data.solution === undefined ? show(data.tries) : send(data.solution))
    worker.onerror = () => {
      worker.terminate()
      bar.hidden = true
      button.disabled = false
      number.readOnly = false
      text.textContent = 'That did not work in this browser. Try another one.'
    }
    worker.postMessage({ token, bits })
  }

  /** How likely it was to be done by now: it never stands still, and never says more than it knows. */
  function show(tries) {
    bar.value = 1 - Math.exp(-tries / 2 ** bits)
  }

  function send(solution) {
    bar.value = 1
    text.textContent = 'Done. Sending you a code.'
    form.elements.namedItem('challenge_token').value = token
    form.elements.namedItem('challenge_solution').value = solution
    form.submit()
  }

  form.addEventListener('submit', (event) => {
    // Another number than the one this challenge is for: it gets one of its own.
    if (number.value !== number.defaultValue) return
    event.preventDefault()
    begin()
  })
  if ('atOnce' in part.dataset) begin()
}

if (typeof document === 'undefined') work()
else for (const part of document.querySelectorAll('.challenge[data-token]')) page(part)
